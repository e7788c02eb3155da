// htmx would bind the page a moment later, in a timer: a key pressed in between would follow the link and load a page.
import htmx from './htmx.js'

htmx.initialize()
