// Dialogs: <dialog class="modal">, opened by a button of the page or filled by a fragment that lands in #dialog-root.
import { on, register } from './ui.js'

let opener = null

on('click', '[data-dialog-open]', (_event, button) => {
  opener = button
  document.getElementById(button.dataset.dialogOpen)?.showModal()
})
on('click', '[data-dialog-close]', (event, element) => {
  event.preventDefault()
  element.closest('dialog')?.close()
})
// A click on the backdrop is a click on the dialog element itself.
document.addEventListener('pointerdown', (event) => {
  if (event.target instanceof HTMLDialogElement && event.target.open && !event.target.hasAttribute('data-stay')) event.target.close()
})
document.addEventListener('htmx:before:request', (event) => {
  const source = event.detail.ctx.sourceElement
  if (event.detail.ctx.target?.id === 'dialog-root' && !source.closest('#dialog-root')) opener = source
})
// A fragment's dialog opens as it arrives and leaves the page when it closes.
register('#dialog-root > dialog', (dialog) => {
  if (!dialog.open) dialog.showModal()
  dialog.addEventListener('close', () => dialog.remove())
})
document.addEventListener(
  'close',
  (event) => {
    if (!(event.target instanceof HTMLDialogElement)) return
    if (opener?.isConnected) opener.focus()
    opener = null
  },
  true,
)

// Confirm by typing: the button wakes up when the phrase is right. The server checks it again.
register('[data-confirm-phrase]', (input) => {
  const button = input.form?.querySelector('[data-confirm-submit]')
  const plain = (text) => text.normalize('NFC').trim().toLowerCase()
  const right = [input.dataset.confirmPhrase, input.dataset.confirmAlso].map(plain)
  const test = () => (button.disabled = !right.includes(plain(input.value)))
  input.addEventListener('input', test)
  test()
})
