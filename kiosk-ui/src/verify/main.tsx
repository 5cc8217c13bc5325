import '../core/old';
import '../core/tokens.css';
import './verify.css';
import { render } from 'preact';
import { VerifyPage } from './verify';

const root = document.getElementById('app');
if (root) render(<VerifyPage digest={new URLSearchParams(location.search).get('d') || ''} />, root);
