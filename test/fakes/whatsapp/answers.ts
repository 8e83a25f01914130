import type { BinaryNode } from 'baileys'
import { bytes, child, children, node, result, seconds } from './nodes.ts'
import type { Device, Group, People } from './people.ts'

type Question = { iq: BinaryNode; about: string; device: Device | undefined; people: People; mediaHosts: BinaryNode[] }

/** What the server knows; `about` is the question's namespace and operation. What nobody waits for is simply agreed to. */
export async function answerTo({ iq, about, device, people, mediaHosts }: Question): Promise<BinaryNode> {
  switch (about) {
    case 'encrypt count':
      return result(iq, [node('count', { value: String(device?.keys.preKeys.length ?? 0) })])
    case 'encrypt digest':
      return result(iq, [node('digest')])
    case 'encrypt key':
      return result(iq, [
        node('list', {}, await Promise.all(children(child(iq, 'key'), 'user').map((user) => bundleOf(people, user)))),
      ])
    case 'encrypt registration':
      if (device) storePreKeys(device, iq)
      return result(iq)
    case 'w:m media_conn':
      return result(iq, [node('media_conn', { auth: 'a', ttl: '300' }, mediaHosts)])
    case 'usync usync':
      return result(iq, [whoIsWho(people, child(iq, 'usync'))])
    case 'w:g2 participating':
      return result(iq, [node('groups', {}, [...people.groups.values()].map(groupNode))])
    case 'w:g2 query':
      return groupAnswer(people, iq)
    case 'blocklist undefined':
      return result(iq, [node('list', {}, [])])
    case 'privacy privacy':
      return result(iq, [node('privacy', {}, [])])
    case 'w props':
      return result(iq, [node('props', { hash: 'h', refresh: '86400' }, [])])
    case 'w:sync:app:state sync': {
      const asked = children(child(iq, 'sync'), 'collection')
      return result(iq, [
        node(
          'sync',
          {},
          asked.map(({ attrs }) => node('collection', { name: attrs.name ?? '', version: '1' }, [])),
        ),
      ])
    }
    default:
      return result(iq)
  }
}

async function bundleOf(people: People, { attrs }: BinaryNode): Promise<BinaryNode> {
  const jid = attrs.jid ?? ''
  const phone = people.phoneOf(jid)
  return phone ? phone.bundle(jid) : node('user', { jid }, [node('error', { code: '404' })])
}

function whoIsWho(people: People, usync: BinaryNode | undefined): BinaryNode {
  const users = children(child(usync, 'list'), 'user').map((asked) => {
    const number = child(asked, 'contact')?.content
    const jid = asked.attrs.jid ?? `${number ? bytes(child(asked, 'contact')).toString().replace('+', '') : ''}@s.whatsapp.net`
    const phone = people.phoneOf(jid)
    if (!phone) return node('user', { jid }, [node('contact', { type: 'out' })])
    const ids = [0, ...(people.accounts.get(phone.user)?.devices.keys() ?? [])]
    const devices = ids.map((id) => node('device', { id: String(id), ...(id ? { 'key-index': String(id) } : {}) }))
    const list = node('devices', {}, [node('device-list', {}, devices)])
    return node('user', { jid }, [node('contact', { type: 'in' }), node('lid', { val: phone.lid }), list])
  })
  return node('usync', { sid: usync?.attrs.sid ?? '' }, [node('list', {}, users)])
}

function groupAnswer(people: People, iq: BinaryNode): BinaryNode {
  const group = people.groups.get(iq.attrs.to ?? '')
  if (group) return result(iq, [groupNode(group)])
  const attrs = { from: iq.attrs.to ?? '', type: 'error', id: iq.attrs.id ?? '' }
  return node('iq', attrs, [node('error', { code: '404', text: 'item-not-found' })])
}

function storePreKeys(device: Device, iq: BinaryNode): void {
  const key = (from: BinaryNode) => ({ keyId: bytes(child(from, 'id')).readUIntBE(0, 3), publicKey: bytes(child(from, 'value')) })
  device.keys.preKeys.push(...children(child(iq, 'list'), 'key').map(key))
  const signed = child(iq, 'skey')
  if (signed) device.keys.signedPreKey = { ...key(signed), signature: bytes(child(signed, 'signature')) }
}

function groupNode({ jid, subject, members }: Group): BinaryNode {
  const creator = members[0]?.pn ?? ''
  const id = jid.split('@')[0] ?? ''
  const attrs = {
    id,
    subject,
    s_t: seconds(),
    s_o: creator,
    creation: seconds(),
    creator,
    addressing_mode: 'pn',
    size: String(members.length),
  }
  const people = members.map(({ pn, lid }, n) =>
    node('participant', { jid: pn, lid, ...(n === 0 ? { type: 'superadmin' } : {}) }),
  )
  return node('group', attrs, people)
}
