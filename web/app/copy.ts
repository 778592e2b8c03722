// Copying text, also where the page is no secure context: a hub on plain http in one's own network.

/** Whether it was copied. `near` is an element of the dialog that is open, if one is: all else is out of reach then. */
export async function copyText(text: string, near: Element): Promise<boolean> {
  // Older browsers, and all of them on plain http, have none, whatever the types say.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard) {
    try {
      await clipboard.writeText(text);
      return true;
    } catch {
      // Forbidden for this page; the old way may not be.
    }
  }
  return copyBySelection(text, near);
}

function copyBySelection(text: string, near: Element): boolean {
  const focused = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.className = 'unseen';
  (near.closest('dialog') ?? document.body).append(field);
  field.select();
  let copied: boolean;
  try {
    // Deprecated, and the only way there is without a secure context.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    copied = document.execCommand('copy');
  } catch {
    copied = false;
  }
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}
