// SHA-1 (RFC 3174), at once: the browser's own is asynchronous, and a colour is needed while
// drawing. Not for anything that must be secure.

const rotate = (word: number, by: number) => (word << by) | (word >>> (32 - by));

/** The 20 bytes of the digest. */
export function sha1(data: Uint8Array): Uint8Array {
  const blocks = Math.ceil((data.length + 9) / 64);
  const padded = new Uint8Array(blocks * 64);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(data.length / 0x2000_0000));
  view.setUint32(padded.length - 4, data.length << 3);
  const state: [number, number, number, number, number] = [
    0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0,
  ];
  const words = new Int32Array(80);
  for (let block = 0; block < blocks; block += 1) {
    for (let at = 0; at < 16; at += 1) words[at] = view.getInt32(block * 64 + at * 4);
    digestBlock(words, state);
  }
  const digest = new DataView(new ArrayBuffer(20));
  state.forEach((word, at) => digest.setInt32(at * 4, word));
  return new Uint8Array(digest.buffer);
}

function digestBlock(words: Int32Array, state: [number, number, number, number, number]): void {
  const word = (at: number) => words[at] ?? 0;
  for (let at = 16; at < 80; at += 1) {
    words[at] = rotate(word(at - 3) ^ word(at - 8) ^ word(at - 14) ^ word(at - 16), 1);
  }
  let [a, b, c, d, e] = state;
  for (let at = 0; at < 80; at += 1) {
    const [mixed, constant] =
      at < 20 ? [(b & c) | (~b & d), 0x5a82_7999]
      : at < 40 ? [b ^ c ^ d, 0x6ed9_eba1]
      : at < 60 ? [(b & c) | (b & d) | (c & d), 0x8f1b_bcdc]
      : [b ^ c ^ d, 0xca62_c1d6];
    const next = (rotate(a, 5) + mixed + e + constant + word(at)) | 0;
    [e, d, c, b, a] = [d, c, rotate(b, 30), a, next];
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
  state[4] = (state[4] + e) | 0;
}
