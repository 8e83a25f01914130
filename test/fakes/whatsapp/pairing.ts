import { randomBytes } from 'node:crypto'
import {
  aesDecryptCTR,
  aesDecryptGCM,
  aesEncryptCTR,
  type BinaryNode,
  Curve,
  derivePairingCodeKey,
  hkdf,
  hmacSign,
  jidDecode,
  proto,
  S_WHATSAPP_NET,
  WA_ADV_ACCOUNT_SIG_PREFIX,
} from 'baileys'
import { bytes, child, node, seconds } from './nodes.ts'
import type { DeviceKeys, Phone } from './phone.ts'

/** What a phone learns of a device that wants to be linked, by scanning or by a typed code. */
export type Candidate = { noiseKey: Buffer; identity: Buffer; advSecret: Buffer }

/** The text of a QR code: `ref,noise key,identity key,secret`, perhaps behind an address. */
export function readQr(text: string): Candidate & { ref: string } {
  const [ref = '', noiseKey = '', identity = '', advSecret = ''] = text.replace(/^https?:\/\/[^#]*#/, '').split(',')
  const decode = (part: string) => Buffer.from(part, 'base64')
  return { ref, noiseKey: decode(noiseKey), identity: decode(identity), advSecret: decode(advSecret) }
}

/** The public keys that a new device sends along when it connects. */
export function deviceKeys({
  payload,
  jid,
  identity,
}: {
  payload: proto.ClientPayload
  jid: string
  identity: Buffer
}): DeviceKeys {
  const data = payload.devicePairingData
  const part = (value: Uint8Array | null | undefined) => Buffer.from(value ?? [])
  return {
    jid,
    identity,
    registrationId: part(data?.eRegid).readUInt32BE(0),
    signedPreKey: {
      keyId: part(data?.eSkeyId).readUIntBE(0, 3),
      publicKey: part(data?.eSkeyVal),
      signature: part(data?.eSkeySig),
    },
    preKeys: [],
  }
}

/** The phone's word that the device is its own. */
export function pairSuccess({
  phone,
  candidate,
  device,
  id,
}: {
  phone: Phone
  candidate: Candidate
  device: { id: number; jid: string; lid: string }
  id: string
}): BinaryNode {
  const details = proto.ADVDeviceIdentity.encode({ rawId: 1, timestamp: Number(seconds()), keyIndex: device.id }).finish()
  const signed = Buffer.concat([WA_ADV_ACCOUNT_SIG_PREFIX, details, candidate.identity])
  const accountSignature = Curve.sign(phone.identity.private, signed)
  const identity = { details, accountSignatureKey: phone.identity.public, accountSignature }
  const sealed = proto.ADVSignedDeviceIdentity.encode(identity).finish()
  const hmac = hmacSign(Buffer.from(sealed), candidate.advSecret)
  return node('iq', { from: S_WHATSAPP_NET, type: 'set', id, t: seconds() }, [
    node('pair-success', {}, [
      node('device-identity', {}, proto.ADVSignedDeviceIdentityHMAC.encode({ details: sealed, hmac }).finish()),
      node('device', { jid: device.jid, lid: device.lid }),
      node('platform', { name: 'android' }),
    ]),
  ])
}

/** Pairing by a code that the owner types on the phone: both sides prove that they know it. */
export class CodePairing {
  readonly user: string
  readonly #noiseKey: Buffer
  readonly #wrapped: Buffer
  readonly #ref = randomBytes(16)
  #shared: Buffer = Buffer.alloc(0)

  constructor(hello: BinaryNode) {
    this.user = jidDecode(hello.attrs.jid)?.user ?? ''
    this.#noiseKey = bytes(child(hello, 'companion_server_auth_key_pub'))
    this.#wrapped = bytes(child(hello, 'link_code_pairing_wrapped_companion_ephemeral_pub'))
  }

  get reference(): BinaryNode {
    const ref = node('link_code_pairing_ref', {}, this.#ref)
    return node('link_code_companion_reg', { stage: 'companion_hello' }, [ref])
  }

  /** The owner typed the code: what the phone tells the device. */
  async typed(phone: Phone, code: string): Promise<BinaryNode> {
    const companionKey = await derivePairingCodeKey(code, this.#wrapped.subarray(0, 32))
    const companion = aesDecryptCTR(this.#wrapped.subarray(48), companionKey, this.#wrapped.subarray(32, 48))
    const ephemeral = Curve.generateKeyPair()
    this.#shared = Buffer.from(Curve.sharedKey(ephemeral.private, companion))
    const [salt, iv] = [randomBytes(32), randomBytes(16)]
    const sealed = aesEncryptCTR(ephemeral.public, await derivePairingCodeKey(code, salt), iv)
    const content = node('link_code_companion_reg', { stage: 'primary_hello' }, [
      node('link_code_pairing_ref', {}, this.#ref),
      node('primary_identity_pub', {}, phone.identity.public),
      node('link_code_pairing_wrapped_primary_ephemeral_pub', {}, Buffer.concat([salt, iv, sealed])),
    ])
    const attrs = { from: S_WHATSAPP_NET, type: 'link_code_companion_reg', id: `lc${Date.now()}`, t: seconds() }
    return node('notification', attrs, [content])
  }

  /** The device's answer to that. */
  finish(answer: BinaryNode, phone: Phone): Candidate {
    const wrapped = bytes(child(answer, 'link_code_pairing_wrapped_key_bundle'))
    const info = 'link_code_pairing_key_bundle_encryption_key'
    const key = Buffer.from(hkdf(this.#shared, 32, { salt: wrapped.subarray(0, 32), info }))
    const plain = aesDecryptGCM(wrapped.subarray(44), key, wrapped.subarray(32, 44), Buffer.alloc(0))
    const [identity, random] = [plain.subarray(0, 32), plain.subarray(64)]
    const secret = Buffer.concat([this.#shared, Curve.sharedKey(phone.identity.private, identity), random])
    const advSecret = Buffer.from(hkdf(secret, 32, { info: 'adv_secret' }))
    return { noiseKey: this.#noiseKey, identity: Buffer.from(identity), advSecret }
  }
}
