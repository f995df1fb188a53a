// Bytes as text, five characters for four bytes: the alphabet of Z85 (ZeroMQ RFC 32), less than base64 takes. The
// last characters of a length that is no multiple of four stand for bytes that were added.

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/** The text of bytes, after their number. */
export function encode(bytes) {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  const parts = [`${bytes.length}|`];
  for (let at = 0; at < padded.length; at += 4) {
    const value = view.getUint32(at);
    for (const place of [85 ** 4, 85 ** 3, 85 ** 2, 85, 1]) parts.push(ALPHABET[Math.floor(value / place) % 85]);
  }
  return parts.join("");
}

/** The bytes of a text. */
export function decode(text) {
  const digits = new Uint8Array(128);
  for (let digit = 0; digit < 85; digit++) digits[ALPHABET.charCodeAt(digit)] = digit;
  const start = text.indexOf("|") + 1;
  const length = Number(text.slice(0, start - 1));
  const view = new DataView(new ArrayBuffer(Math.ceil(length / 4) * 4));
  for (let at = 0, from = start; from < text.length; at += 4, from += 5) {
    let value = 0;
    for (let place = from; place < from + 5; place++) value = value * 85 + digits[text.charCodeAt(place)];
    view.setUint32(at, value);
  }
  return new Uint8Array(view.buffer, 0, length);
}
