// Turns a message of the hub into text for people.

/**
 * Returns the message as a sentence, with quotation marks as in the rest of the interface. The hub's messages start with
 * a lowercase letter and have no full stop.
 */
export function sentence(message: string): string {
  const quoted = message.replace(/"([^"]*)"/g, '“$1”').replace(/`([^`]*)`/g, '$1');
  const text = quoted.charAt(0).toUpperCase() + quoted.slice(1);
  return text === '' || /[.!?…]$/.test(text) ? text : `${text}.`;
}
