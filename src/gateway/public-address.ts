import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'

/** Ranges that are not the public internet (IANA's special-purpose registries), where a host may have neighbours. */
const NOT_PUBLIC_V4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
  // Public by its number, but Azure answers every machine there with what it knows of that machine.
  '168.63.129.16/32',
]
/** All public addresses of IPv6 lie in 2000::/3; these parts of it lead elsewhere, some of them to addresses of IPv4. */
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

/**
 * A network of this machine with a shorter prefix is no neighbourhood, which is never that large: interfaces of VPNs may have `/0`
 * or `/1`, which means the internet.
 */
const SHORTEST_PREFIX = { ipv4: 8, ipv6: 16 }

/** Decides which resolved addresses a container may be connected to. */
export class PublicAddresses {
  readonly #notPublic = new BlockList()
  readonly #publicV6 = new BlockList()
  readonly #own: () => readonly string[]

  /**
   * `own`: the addresses of this machine with their networks (`address/bits`), as they are when it is asked. Neither it nor its
   * neighbours there are for its containers, public or not.
   */
  constructor(own: () => readonly string[]) {
    this.#own = own
    this.#publicV6.addSubnet('2000::', 3, 'ipv6')
    for (const range of [...NOT_PUBLIC_V4, ...NOT_PUBLIC_V6]) block(this.#notPublic, range)
  }

  haveAll(addresses: readonly string[]): boolean {
    const own = new BlockList()
    for (const range of this.#own()) blockOwn(own, range)
    return addresses.every((address) => this.#isPublic(address) && !own.check(address, familyOf(address)))
  }

  #isPublic(address: string): boolean {
    if (isIPv4(address)) return !this.#notPublic.check(address, 'ipv4')
    return isIPv6(address) && this.#publicV6.check(address, 'ipv6') && !this.#notPublic.check(address, 'ipv6')
  }
}

/** The addresses of this machine with the networks they are in, as `address/bits`. */
export function ownNetworks(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ cidr, address }) => cidr ?? address))
}

function blockOwn(list: BlockList, range: string): void {
  const [address = '', bits] = range.split('/')
  list.addAddress(address, familyOf(address))
  if (Number(bits) >= SHORTEST_PREFIX[familyOf(address)]) block(list, range)
}

function block(list: BlockList, range: string): void {
  const [address = '', bits] = range.split('/')
  list.addSubnet(address, Number(bits), familyOf(address))
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6'
}
