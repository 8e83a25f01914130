import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** Ranges that are not the public internet (IANA's special-purpose registries), where a host may have neighbours. */
const NOT_PUBLIC_V4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
]
/** All public addresses of IPv6 lie in 2000::/3; these parts of it lead elsewhere, some of them to addresses of IPv4. */
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

/** Decides which resolved addresses a container may be connected to. */
export class PublicAddresses {
  readonly #blocked = new BlockList()
  readonly #publicV6 = new BlockList()

  /** `own`: the addresses of this machine, which are not for its containers, public or not. */
  constructor(own: readonly string[]) {
    this.#publicV6.addSubnet('2000::', 3, 'ipv6')
    for (const range of NOT_PUBLIC_V4) this.#block(range, 'ipv4')
    for (const range of NOT_PUBLIC_V6) this.#block(range, 'ipv6')
    for (const address of own) {
      if (isIPv4(address)) this.#blocked.addAddress(address, 'ipv4')
      else if (isIPv6(address)) this.#blocked.addAddress(address, 'ipv6')
    }
  }

  #block(range: string, family: 'ipv4' | 'ipv6'): void {
    const [address = '', bits] = range.split('/')
    this.#blocked.addSubnet(address, Number(bits), family)
  }

  has(address: string): boolean {
    if (isIPv4(address)) return !this.#blocked.check(address, 'ipv4')
    return isIPv6(address) && this.#publicV6.check(address, 'ipv6') && !this.#blocked.check(address, 'ipv6')
  }
}
