// Copies text to the clipboard, also outside a secure context (a hub on plain http in a local network).

/**
 * Copies the text. Returns true on success. `anchor` is an element inside the open dialog, if any: elements outside a modal
 * dialog cannot be selected.
 */
export async function copyText(text: string, anchor: Element): Promise<boolean> {
  // Missing in older browsers and, on plain http, in all browsers. The type definitions do not include this.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard) {
    try {
      await clipboard.writeText(text);
      return true;
    } catch {
      // Blocked for this page. Copying a selection may still work.
    }
  }
  return copyBySelection(text, anchor);
}

function copyBySelection(text: string, anchor: Element): boolean {
  const focused = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.className = 'visually-hidden';
  (anchor.closest('dialog') ?? document.body).append(field);
  field.select();
  let copied: boolean;
  try {
    // Deprecated, but the only way outside a secure context.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    copied = document.execCommand('copy');
  } catch {
    copied = false;
  }
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}
