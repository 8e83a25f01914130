import { aesDecryptGCM, aesEncryptGCM, Curve, hkdf, type KeyPair, NOISE_MODE, NOISE_WA_HEADER, proto, sha256 } from 'baileys'

const NOTHING = Buffer.alloc(0)

/** By what a server proves who it is. */
export type ServerIdentity = { identity: KeyPair; certificate: Uint8Array }

/** The certificate is signed by a root that is not WhatsApp's. */
export function serverIdentity(): ServerIdentity {
  const identity = Curve.generateKeyPair()
  return { identity, certificate: certificate({ identity, root: Curve.generateKeyPair() }) }
}

function iv(counter: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(counter, 8)
  return bytes
}

/** The server's side of WhatsApp's handshake (Noise XX), and of the encryption after it. */
export class NoiseResponder {
  #hash: Uint8Array = Buffer.from(NOISE_MODE)
  #salt: Uint8Array = this.#hash
  #key: Uint8Array = this.#hash
  #counter = 0
  #sending = { key: NOTHING as Uint8Array, counter: 0 }
  #receiving = { key: NOTHING as Uint8Array, counter: 0 }
  readonly #ephemeral = Curve.generateKeyPair()
  #clientEphemeral: Uint8Array = NOTHING

  constructor() {
    this.#mixHash(NOISE_WA_HEADER)
  }

  /** Answers the client's hello. */
  hello(frame: Uint8Array, { identity, certificate }: ServerIdentity): Uint8Array {
    this.#clientEphemeral = proto.HandshakeMessage.decode(frame).clientHello?.ephemeral ?? NOTHING
    this.#mixHash(this.#clientEphemeral)
    this.#mixHash(this.#ephemeral.public)
    this.#mixKey(Curve.sharedKey(this.#ephemeral.private, this.#clientEphemeral))
    const sealedIdentity = this.#encrypt(identity.public)
    this.#mixKey(Curve.sharedKey(identity.private, this.#clientEphemeral))
    const payload = this.#encrypt(certificate)
    const serverHello = { ephemeral: this.#ephemeral.public, static: sealedIdentity, payload }
    return proto.HandshakeMessage.encode({ serverHello }).finish()
  }

  /** Reads who the client is; from then on both sides encrypt with keys of their own. */
  finish(frame: Uint8Array): { identity: Buffer; payload: proto.ClientPayload } {
    const { clientFinish } = proto.HandshakeMessage.decode(frame)
    const identity = this.#decrypt(clientFinish?.static ?? NOTHING)
    this.#mixKey(Curve.sharedKey(this.#ephemeral.private, identity))
    const payload = proto.ClientPayload.decode(this.#decrypt(clientFinish?.payload ?? NOTHING))
    const [receiving, sending] = this.#split(NOTHING)
    this.#receiving = { key: receiving, counter: 0 }
    this.#sending = { key: sending, counter: 0 }
    return { identity, payload }
  }

  seal(plain: Uint8Array): Uint8Array {
    return aesEncryptGCM(plain, this.#sending.key, iv(this.#sending.counter++), NOTHING)
  }

  open(sealed: Uint8Array): Uint8Array {
    return aesDecryptGCM(sealed, this.#receiving.key, iv(this.#receiving.counter++), NOTHING)
  }

  #mixHash(data: Uint8Array): void {
    this.#hash = sha256(Buffer.concat([this.#hash, data]))
  }

  #mixKey(secret: Uint8Array): void {
    ;[this.#salt, this.#key] = this.#split(secret)
    this.#counter = 0
  }

  #split(secret: Uint8Array): [Uint8Array, Uint8Array] {
    const key = Buffer.from(hkdf(Buffer.from(secret), 64, { salt: Buffer.from(this.#salt), info: '' }))
    return [key.subarray(0, 32), key.subarray(32)]
  }

  #encrypt(plain: Uint8Array): Uint8Array {
    const sealed = aesEncryptGCM(plain, this.#key, iv(this.#counter++), this.#hash)
    this.#mixHash(sealed)
    return sealed
  }

  #decrypt(sealed: Uint8Array): Buffer {
    const plain = aesDecryptGCM(sealed, this.#key, iv(this.#counter++), this.#hash)
    this.#mixHash(sealed)
    return plain
  }
}

function certificate({ identity, root }: { identity: KeyPair; root: KeyPair }): Uint8Array {
  const intermediate = Curve.generateKeyPair()
  const { Details } = proto.CertChain.NoiseCertificate
  const ofIntermediate = Details.encode({ serial: 1, issuerSerial: 0, key: intermediate.public }).finish()
  const ofLeaf = Details.encode({ serial: 2, issuerSerial: 1, key: identity.public }).finish()
  return proto.CertChain.encode({
    leaf: { details: ofLeaf, signature: Curve.sign(intermediate.private, ofLeaf) },
    intermediate: { details: ofIntermediate, signature: Curve.sign(root.private, ofIntermediate) },
  }).finish()
}
