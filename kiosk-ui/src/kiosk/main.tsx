import '../core/old';
import '../core/tokens.css';
import './kiosk.css';
import '../light/dispute/dispute.css';
import '../light/overlay.css';
import { render } from 'preact';
import { Kiosk } from './kiosk';

const root = document.getElementById('app');
if (root) render(<Kiosk />, root);
