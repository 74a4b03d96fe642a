// A push service on this machine, and the browser behind it: takes what the server sends, verifies
// who sends it (RFC 8292), and decrypts it as a browser would (RFC 8291, RFC 8188).

import { createDecipheriv, createECDH, createHmac, createPublicKey, randomBytes, verify } from "node:crypto";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { expect, until } from "./steps.mjs";

const hmac = (key, ...parts) => parts.reduce((mac, part) => mac.update(part), createHmac("sha256", key)).digest();
/** HKDF with SHA-256 for at most 32 bytes (RFC 5869). */
const derived = (salt, secret, info, length) => hmac(hmac(salt, secret), info, Buffer.from([1])).subarray(0, length);

/** The keys of one subscription. */
export function makeBrowser() {
  const keys = createECDH("prime256v1");
  const mine = keys.generateKeys();
  const auth = randomBytes(16);
  return {
    p256dh: mine.toString("base64url"),
    auth: auth.toString("base64url"),
    /** What stands in the body of a push message. */
    open(body) {
      // RFC 8188 §2.1: salt, record size, length of the key id, and the key id: the server's key.
      const salt = body.subarray(0, 16);
      const recordSize = body.readUInt32BE(16);
      const theirs = body.subarray(21, 21 + body[20]);
      const record = body.subarray(21 + body[20]);
      expect(theirs.length === 65 && record.length <= recordSize, "not one record under one key");
      // RFC 8291 §3.4.
      const info = Buffer.concat([Buffer.from("WebPush: info\0"), mine, theirs]);
      const secret = derived(auth, keys.computeSecret(theirs), info, 32);
      const key = derived(salt, secret, Buffer.from("Content-Encoding: aes128gcm\0"), 16);
      const nonce = derived(salt, secret, Buffer.from("Content-Encoding: nonce\0"), 12);
      const decipher = createDecipheriv("aes-128-gcm", key, nonce);
      decipher.setAuthTag(record.subarray(-16));
      const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
      // RFC 8188 §2: the last record ends with 2 and zeros.
      const end = padded.findLastIndex((byte) => byte !== 0);
      expect(padded[end] === 2, "no delimiter of the last record");
      return padded.subarray(0, end).toString();
    },
  };
}

/** Whether a request comes from the server with this key, for this push service, now (RFC 8292 §2, §3). */
export function verifySender(headers, key, audience) {
  const [, token, shown] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(headers.authorization ?? "") ?? [];
  expect(token !== undefined, `no VAPID: ${headers.authorization}`);
  expect(shown === key, `another key than the page was told: ${shown}`);
  const [header, claims, signature] = token.split(".");
  const point = Buffer.from(key, "base64url");
  const jwk = { kty: "EC", crv: "P-256", x: point.subarray(1, 33).toString("base64url"), y: point.subarray(33).toString("base64url") };
  const publicKey = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  const isSigned = verify("sha256", Buffer.from(`${header}.${claims}`), publicKey, Buffer.from(signature, "base64url"));
  expect(isSigned, "the signature is wrong");
  const { aud, exp, sub } = JSON.parse(Buffer.from(claims, "base64url"));
  const now = Date.now() / 1_000;
  expect(aud === audience, `for ${aud}`);
  expect(exp > now && exp <= now + 86_400, `until ${exp}, and it is ${now}`);
  expect(/^(?:mailto|https):/.test(sub), `nobody to turn to: ${sub}`);
}

/** Listens at an address with a certificate that `authority` is for. */
export async function startPushService(address, folder) {
  const [cert, key] = [join(folder, "push.pem"), join(folder, "push.key")];
  const { status, stderr } = spawnSync("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=push".split(" "),
    ...["-addext", `subjectAltName=IP:${address}`, "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
  ]);
  expect(status === 0, `no certificate: ${stderr}`);
  const waiting = [];
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      waiting.push({ path: request.url, headers: request.headers, body: Buffer.concat(parts) });
      response.writeHead(201).end();
    });
  });
  await new Promise((done) => server.listen(0, address, done));
  const { port } = server.address();
  return {
    host: `${address}:${port}`,
    origin: `https://${address}:${port}`,
    authority: cert,
    /** The next request. */
    next: () => until(() => waiting.shift(), "the push service is told"),
    close: () => server.close(),
  };
}
