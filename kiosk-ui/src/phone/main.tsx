import '../core/old';
import '../core/tokens.css';
import './phone.css';
import '../light/dispute/dispute.css';
import './party/party.css';
import { render } from 'preact';
import { Phone } from './phone';

const root = document.getElementById('app');
if (root) render(<Phone />, root);
