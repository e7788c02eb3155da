// The composer: editor, autosave that never touches what is typed, attachments with progress.
import { announce, cookie, on, register, say, tidyToasts, toast } from '@deftmail/ui'
import { narrow, opened, stepBack, tell, tellThere } from './leaving.js'

const PAUSE = 2500 // ms after the last edit until a draft is saved

register('[data-composer]', (root) => start(root))

// What opened the composer has the focus again when it closes.
let opener = ''
let coming = 0 // when a composer was asked for; until it is there, keys are words for it and no shortcuts
let words = ''
let unwanted = false // Escape was pressed before it was there
document.addEventListener('htmx:before:request', (event) => {
  const { target, sourceElement } = event.detail.ctx ?? {}
  if (target?.id !== 'composer' || sourceElement?.closest?.('#composer')) return
  opener = document.activeElement?.dataset?.focusKey ?? ''
  coming = Date.now()
  words = ''
  unwanted = false
})
addEventListener(
  'keydown',
  (event) => {
    if (!coming || event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.('input, textarea, [contenteditable]')) return
    if (Date.now() - coming > 3000) return void (coming = 0)
    if (event.key.length === 1) words += event.key
    else if (event.key === 'Escape') {
      coming = 0
      const close = document.querySelector('#composer [data-close]')
      if (close) close.click()
      else unwanted = true
    } else return
    event.preventDefault()
    event.stopImmediatePropagation()
  },
  true,
)
const focusBack = () => (document.querySelector(`[data-focus-key="${CSS.escape(opener)}"]`) ?? document.getElementById('main'))?.focus()
document.addEventListener('deft:mail-changed', () => {
  const root = document.getElementById('composer')
  if (root && !root.children.length && (!document.activeElement || document.activeElement === document.body)) focusBack()
})

// What is wrong when a save is answered so: the rest passes by itself.
const WRONG = { 401: 'signed-out', 413: 'too-long', 422: 'too-long' }
// What a browser lets a page that goes send along (Fetch, "keepalive": 64 KiB in all, with what frames each field).
const fits = (body) => [...body].reduce((size, [name, value]) => size + new Blob([name, value]).size + 200, 0) < 60000

function start(root) {
  const form = root.querySelector('form')
  const holder = root.querySelector('[data-editor]')
  const html = form.elements.html
  const text = form.elements.text
  const state = root.querySelector('[data-save-state]')

  let editor = null // comes a moment later; until then the plain field is there, and Send and Escape do what they say
  const shut = () => {
    leaving = true
    clearTimeout(timer)
    coming = 0
    root.parentElement.replaceChildren()
    tidyToasts()
    focusBack()
    stepBack()
  }
  let dirty = false
  let timer = 0
  let saving = null // the save under way; the next waits for it, so that no two make two drafts
  let leaving = false
  let failed = false

  let kept = false // whether a draft was saved here
  const floating = Boolean(root.closest('.composer-root'))
  const fills = floating && narrow.matches
  const unsaved = () => (dirty || Boolean(saving)) && !leaving && root.isConnected
  opened({ root, settle, close, unsaved, fills: () => fills && root.isConnected })
  // A page that goes can take only so much along; what it can needs no question.
  addEventListener('beforeunload', (event) => unsaved() && (failed || !fits(pack())) && event.preventDefault())

  // In a timer: htmx is still at work on what it has put in.
  if (unwanted && floating) return setTimeout(shut)
  if (fills && !history.state?.composer) history.pushState({ composer: true }, '')

  let pristine = null // what the editor made of what it was given: setting it is no edit
  const touched = () => {
    if (editor && pristine === null) return
    dirty = true
    clearTimeout(timer)
    timer = setTimeout(save, PAUSE)
  }
  form.addEventListener('input', (event) => holder.contains(event.target) || event.target.type === 'file' || touched()) // a file counts when it is up

  // Who signed in again in another tab has a new token; what is written here must still go.
  const freshen = () => {
    if (editor) {
      html.value = editor.html()
      text.value = ''
    }
    form.elements.csrfmiddlewaretoken.value = cookie('dm_csrf') || form.elements.csrfmiddlewaretoken.value
  }
  const pack = () => {
    freshen()
    const data = new FormData(form)
    data.delete('file')
    return data
  }

  async function save() {
    clearTimeout(timer)
    if (!dirty || leaving) return saving
    if (saving) {
      await saving
      return save()
    }
    dirty = false
    let status = 0
    if (!failed) state.textContent = root.dataset.saySaving // else what is wrong stays to be read
    saving = (async () => {
      try {
        const answer = await post(pack())
        status = answer.status
        if (!answer.ok) throw new Error(answer.statusText)
        const said = await answer.json()
        form.elements.draft_id.value = said.draft_id
        form.elements.message_id.value = said.message_id
        state.textContent = said.said
        kept = true
        failed = false
      } catch {
        dirty = failed = true
        const wrong = root.querySelector(`[data-say-${WRONG[status] ?? 'failed'}]`).content.cloneNode(true)
        if (state.textContent !== wrong.textContent) state.replaceChildren(wrong)
        if (WRONG[status] !== 'too-long') timer = setTimeout(save, 15000) // that stays wrong until something is taken out
      } finally {
        saving = null
      }
    })()
    return saving
  }

  const token = () => cookie('dm_csrf') || form.elements.csrfmiddlewaretoken.value
  // A save goes on when its page goes, where it is small enough.
  const post = (body) => fetch(root.dataset.saveUrl, { method: 'POST', body, headers: { 'X-CSRFToken': token(), 'HX-Request': 'true' }, keepalive: fits(body) })

  // Whether everything is in Drafts; where it cannot be, the line that says why has the focus.
  async function settle() {
    for (let tries = 0; tries < 3 && (dirty || saving) && !(tries && failed); tries++) await save()
    const settled = !(dirty && failed)
    if (!settled) (state.querySelector('a') ?? state).focus()
    return settled
  }

  // Sending waits for a save under way: its answer names the draft that the sent message replaces.
  form.addEventListener(
    'submit',
    (event) => {
      freshen()
      clearTimeout(timer)
      if (!saving) {
        leaving = event.submitter?.value === 'send' ? leaving : true
        return
      }
      event.preventDefault()
      event.stopImmediatePropagation()
      const { submitter } = event
      saving.finally(() => form.requestSubmit(submitter))
    },
    true,
  )

  // Who comes back from signing in need not wait for the next try; one under way began before.
  addEventListener('focus', async () => {
    if (!failed) return
    await saving
    save()
  })

  // What to say of a draft that is kept. Of one whose last save is under way it is not known yet which it will be.
  const here = () => encodeURIComponent(location.pathname + location.search)
  const found = () => (dirty || saving ? root.dataset.draftsUrl : `${form.action}?draft=${encodeURIComponent(form.elements.draft_id.value)}&next=${here()}`)
  const told = () => ({ text: root.dataset.sayKept, label: root.dataset.sayOpen, href: found() })

  async function close({ say = false } = {}) {
    if (!(await settle())) return false // it stays open
    leaving = true
    if (!floating) return true
    shut()
    if (say && kept) tell(told())
    if (form.elements.draft_id.value) document.dispatchEvent(new CustomEvent('deft:mail-changed'))
    return true
  }
  root.querySelector('[data-close]').addEventListener('click', async (event) => {
    if (!floating && !dirty && !saving) return
    event.preventDefault()
    const { href } = event.currentTarget
    if ((await close()) && !floating) location.assign(href)
  })
  // Another message is opened in its place: what is typed is saved first.
  const own = ({ request }) => request.form === form
  const before = ({ detail: { ctx } }) => ctx.target?.id === 'composer' && !own(ctx) && save()
  const after = async ({ detail: { ctx } }) => {
    if (root.isConnected || ctx.target?.id !== 'composer') return
    document.removeEventListener('htmx:before:request', before)
    document.removeEventListener('htmx:after:swap', after)
    leaving ||= own(ctx)
    if (!document.querySelector('.composer-root > .composer')) stepBack()
    await saving
    if (!leaving && kept && !dirty) tell(told())
  }
  document.addEventListener('htmx:before:request', before)
  document.addEventListener('htmx:after:swap', after)
  // Its own request is answered, and it is still here and not led away: so nothing was sent or thrown away: what was typed is saved.
  form.addEventListener('htmx:after:request', ({ detail: { ctx } }) => (leaving ||= Boolean(ctx.hx.redirect)))
  form.addEventListener('htmx:finally:request', ({ detail: { ctx } }) => {
    if (!root.isConnected || ctx.hx?.redirect) return
    leaving = false
    if (ctx.response?.status === 401) dirty = true // what was to be sent is asked for again, with the way to sign in
    save()
  })
  root.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') root.querySelector('[data-close]').click()
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit(root.querySelector('[data-send]'))
  })
  root.querySelector('[data-discard]').addEventListener('click', (event) => {
    leaving = true
    clearTimeout(timer)
    // Nothing was kept yet, so there is nothing to throw away.
    if (!form.elements.draft_id.value && !saving && floating) {
      event.preventDefault()
      shut()
    }
  })
  root.querySelector('[data-show-cc]')?.addEventListener('click', (event) => {
    event.currentTarget.hidden = true
    root.querySelector('[data-cc]').removeAttribute('data-without-js')
    form.elements.cc.focus()
  })
  // Enter goes on to the next line, and never sends: what is sent cannot be called back.
  const goesOn = (field, next) =>
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.ctrlKey || event.metaKey || event.isComposing) return
      event.preventDefault()
      next().focus()
    })
  goesOn(form.elements.subject, () => editor ?? text)
  // Recipients wrap but are one line: a pasted list becomes commas.
  for (const field of root.querySelectorAll('[data-recipients]')) {
    goesOn(field, () => form.elements.subject)
    field.addEventListener('input', () => {
      // What was wrong with the recipients is being mended, whichever field it stands at.
      for (const error of root.querySelectorAll('.field-error')) error.remove()
      for (const each of root.querySelectorAll('[aria-invalid]')) for (const name of ['aria-invalid', 'aria-describedby']) each.removeAttribute(name)
      if (/[\r\n]/.test(field.value)) field.value = field.value.replace(/\s*[\r\n]+\s*/g, ', ')
    })
  }
  for (const button of root.querySelectorAll('[data-command]')) {
    button.addEventListener('click', () => {
      const { command } = button.dataset
      const on = { bold: 'B', italic: 'I' }[command]
      if (on && editor.squire.hasFormat(on)) editor.squire[command === 'bold' ? 'removeBold' : 'removeItalic']()
      else editor.squire[command]()
      editor.focus()
    })
  }

  // ——— Attachments: each goes up at once, with its progress.
  const list = root.querySelector('[data-files]')
  const input = root.querySelector('[data-attach]')
  const complain = (text) => toast(text, { kind: 'error', about: root })
  input.addEventListener('change', () => {
    attach([...input.files])
    input.value = ''
  })
  root.addEventListener('dragover', (event) => {
    if (![...event.dataTransfer.types].includes('Files')) return
    event.preventDefault()
    root.dataset.dropping = ''
  })
  for (const type of ['dragleave', 'drop']) root.addEventListener(type, () => delete root.dataset.dropping)
  root.addEventListener('drop', (event) => {
    if (!event.dataTransfer.files.length || event.defaultPrevented) return
    event.preventDefault()
    attach([...event.dataTransfer.files])
  })
  on('click', '[data-remove-file]', (_event, button) => {
    if (!root.contains(button)) return
    button.closest('.file').remove()
    touched()
  })

  function attach(files) {
    for (const file of files) {
      const sum = [...list.children].reduce((all, item) => all + Number(item.dataset.size || 0), 0)
      if (sum + file.size > Number(root.dataset.maxBytes)) {
        complain(root.dataset.sayTooLarge)
        return
      }
      up(file)
    }
  }

  function up(file) {
    const item = document.createElement('li')
    item.className = 'file'
    item.dataset.size = file.size
    const name = Object.assign(document.createElement('span'), { className: 'file-name', textContent: file.name })
    const bar = Object.assign(document.createElement('progress'), { max: 1, value: 0 })
    bar.setAttribute('aria-label', file.name)
    item.append(name, bar)
    list.append(item)
    const data = new FormData()
    for (const known of list.querySelectorAll('input[name=attached]')) data.append('attached', known.value)
    data.append('file', file)
    const request = new XMLHttpRequest()
    request.open('POST', root.dataset.uploadUrl)
    request.setRequestHeader('X-CSRFToken', token())
    request.setRequestHeader('HX-Request', 'true')
    request.upload.addEventListener('progress', (event) => event.lengthComputable && (bar.value = event.loaded / event.total))
    const failed = () => {
      item.remove()
      complain({ 401: say('signedOut'), 413: root.dataset.sayTooLarge }[request.status] ?? root.dataset.sayUploadFailed)
    }
    request.addEventListener('error', failed)
    request.addEventListener('load', () => {
      if (request.status !== 200) return failed()
      const page = new DOMParser().parseFromString(request.responseText, 'text/html')
      const line = page.querySelector('li.file')
      if (!line) return failed()
      item.replaceWith(document.importNode(line, true))
      announce(file.name)
      touched()
    })
    request.send(data)
  }

  // ——— The editor. Where somebody wrote into the plain field before it came, the plain field stays.
  import('@deftmail/composer').then(({ createEditor }) => {
    if (!root.isConnected) return
    const typed = words
    coming = 0
    words = ''
    if (text.value !== text.defaultValue) return
    editor = createEditor(holder, { onChange: () => (dirty || editor.html() !== pristine) && touched(), onFiles: (files) => attach(files), label: holder.dataset.label })
    editor.set(html.value)
    setTimeout(() => (pristine ??= editor.html()))
    text.hidden = true
    holder.hidden = false
    form.elements.rich.disabled = false
    const format = root.querySelector('[data-format]')
    if (format) format.hidden = false
    const refused = root.querySelector('[data-composer-error], [aria-invalid=true]')
    if (typed || refused) pristine ??= editor.html()
    const there = document.activeElement
    if (refused) {
      refused.focus()
      touched() // what was sent in vain is in Drafts no more than before
    } else if (root.contains(there) && there !== form.elements.to) return // somebody is at work in it already
    else if ('autofocus' in holder.dataset) {
      editor.focus()
      editor.squire.moveCursorToStart()
      if (typed) editor.squire.insertPlainText(typed)
    } else {
      form.elements.to.focus()
      if (typed) form.elements.to.setRangeText(typed, 0, 0, 'end')
    }
  })

  // A closed tab keeps what was typed, as far as a browser lets it.
  addEventListener('pagehide', () => {
    if (leaving || !root.isConnected) return
    const body = pack()
    const goes = fits(body)
    if (!failed && (unsaved() ? goes : kept)) tellThere(told())
    if (dirty && goes) post(body).catch(() => {})
  })
}

