// htmx with its CSP extension, which wants a global. Evaluated before the extension: imports run in order.
import htmx from 'htmx.org/dist/htmx.esm.js'

window.htmx = htmx
export default htmx
