import '../core/old';
import '../core/tokens.css';
import './phone.css';
import { render } from 'preact';
import { Phone } from './phone';

const root = document.getElementById('app');
if (root) render(<Phone />, root);
