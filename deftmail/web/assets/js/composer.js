// The composer's editor: Squire, with our own cleaning of everything that enters it. The server cleans again before sending.
import DOMPurify from 'dompurify'
import Squire from 'squire-rte'

const CLEAN = {
  ALLOW_UNKNOWN_PROTOCOLS: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel|cid):|^\/(?!\/)/i,
  FORBID_TAGS: ['style', 'form', 'input', 'button', 'textarea', 'select', 'iframe', 'object', 'embed', 'audio', 'video', 'svg', 'math'],
  FORBID_ATTR: ['class', 'id', 'name', 'srcset', 'background', 'autofocus', 'contenteditable', 'popover', 'popovertarget', 'slot'],
  ALLOW_DATA_ATTR: false,
  ADD_ATTR: ['data-cid', 'data-remote-src', 'data-dm-style'],
  ADD_DATA_URI_TAGS: [],
  RETURN_DOM_FRAGMENT: true,
}

/** Hold remote images back: they would load the moment the reader answers, and tell the sender so. */
function holdBack(fragment) {
  for (const image of fragment.querySelectorAll('img')) {
    const source = image.getAttribute('src') ?? ''
    if (!/^https?:/i.test(source)) continue
    image.setAttribute('data-remote-src', source)
    image.removeAttribute('src')
  }
}

// A style attribute in markup is refused by the page's policy, one set by script is not. The server therefore writes
// data-dm-style; what is pasted has style. What could cover the page is dropped.
const DANGEROUS = /position|z-index|url\(|expression|@import|animation/i
function importStyled(fragment) {
  const styles = []
  for (const element of fragment.querySelectorAll('[style], [data-dm-style]')) {
    styles.push(element.getAttribute('data-dm-style') ?? element.getAttribute('style'))
    element.removeAttribute('style')
    element.removeAttribute('data-dm-style')
    element.setAttribute('data-had-style', styles.length - 1)
  }
  const copy = document.importNode(fragment, true)
  for (const element of copy.querySelectorAll('[data-had-style]')) {
    const style = styles[element.dataset.hadStyle]
    element.removeAttribute('data-had-style')
    if (!DANGEROUS.test(style)) element.style.cssText = style
  }
  return copy
}

/**
 * An editor in `root` (a <div>). onChange(editor) after each edit; onFiles(files) for dropped and pasted files;
 * blockRemote (default true) keeps remote images of quoted mail from loading.
 * Returns {squire, html(), set(html), insert(html), text(), focus(), destroy()}.
 */
export function createEditor(root, { onChange = () => {}, onFiles = () => {}, blockRemote = true, label = '' } = {}) {
  const sanitize = (html) => {
    // Parsed in a document of its own, so that nothing loads before it is held back.
    const clean = DOMPurify.sanitize(html, CLEAN)
    if (blockRemote) holdBack(clean)
    return importStyled(clean)
  }
  const squire = new Squire(root, { blockTag: 'DIV', sanitizeToDOMFragment: sanitize, didError: (error) => console.warn(error) })
  root.setAttribute('role', 'textbox')
  root.setAttribute('aria-multiline', 'true')
  if (label) root.setAttribute('aria-label', label)
  squire.addEventListener('input', () => onChange(editor))
  squire.addEventListener('pasteImage', (event) => onFiles([...(event.detail?.clipboardData?.files ?? [])]))
  // Squire does not clean what is dropped: take the drop over, and put it in as if it were pasted.
  root.addEventListener(
    'drop',
    (event) => {
      const { files } = event.dataTransfer
      const html = event.dataTransfer.getData('text/html')
      const text = event.dataTransfer.getData('text/plain')
      event.preventDefault()
      event.stopImmediatePropagation()
      if (files.length) onFiles([...files])
      else if (html) squire.insertHTML(html, true)
      else if (text) squire.insertPlainText(text, true)
    },
    true,
  )
  const editor = {
    squire,
    /** What will be sent: remote images get their address back. */
    html() {
      const holder = root.cloneNode(true)
      for (const image of holder.querySelectorAll('img[data-remote-src]')) {
        image.setAttribute('src', image.getAttribute('data-remote-src'))
        image.removeAttribute('data-remote-src')
      }
      return holder.innerHTML.replaceAll('\u200B', '')
    },
    set(html) {
      squire.setHTML(html)
    },
    insert(html) {
      squire.insertHTML(html)
    },
    text: () => root.innerText,
    focus: () => squire.focus(),
    destroy: () => squire.destroy(),
  }
  return editor
}
