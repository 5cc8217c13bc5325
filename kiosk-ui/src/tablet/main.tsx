import '../core/old';
import '../core/tokens.css';
import './tablet.css';
import '../light/overlay.css';
import { render } from 'preact';
import { Tablet } from './tablet';

const root = document.getElementById('app');
if (root) render(<Tablet />, root);
