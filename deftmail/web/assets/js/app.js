// Every page. Order matters: htmx, then the extension that gates it by nonce, its start, then ours.
import './htmx.js'
import 'htmx.org/dist/ext/hx-csp.js'
import './start.js'
import { enhance } from './ui.js'
import './toasts.js'
import './behaviours.js'
import './dialogs.js'
import './shortcuts.js'
import './swaps.js'

enhance(document)
document.documentElement.dataset.js = ''
