import '../core/old';
import '../core/tokens.css';
import './texts.css';
import { render } from 'preact';
import { TextsPage } from './texts';

const root = document.getElementById('app');
if (root) render(<TextsPage />, root);
