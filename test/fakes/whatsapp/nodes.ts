import { type BinaryNode, S_WHATSAPP_NET } from 'baileys'

/** The first child with this tag. */
export function child(node: BinaryNode | undefined, tag: string): BinaryNode | undefined {
  return children(node, tag)[0]
}

export function children(node: BinaryNode | undefined, tag: string): BinaryNode[] {
  return Array.isArray(node?.content) ? node.content.filter((one) => one.tag === tag) : []
}

/** The bytes that a node holds; throws when there is no such node. */
export function bytes(node: BinaryNode | undefined): Buffer {
  const { content } = node ?? {}
  if (content instanceof Uint8Array) return Buffer.from(content)
  if (typeof content === 'string') return Buffer.from(content)
  throw new Error(`<${node?.tag}> holds no bytes`)
}

export function node(tag: string, attrs: Record<string, string> = {}, content?: BinaryNode['content']): BinaryNode {
  return content === undefined ? { tag, attrs } : { tag, attrs, content }
}

/** The answer to a question. */
export function result(question: BinaryNode, content: BinaryNode[] = []): BinaryNode {
  const from = question.attrs.to ?? S_WHATSAPP_NET
  return node('iq', { from, type: 'result', id: question.attrs.id ?? '' }, content)
}

export function seconds(): string {
  return String(Math.floor(Date.now() / 1_000))
}
