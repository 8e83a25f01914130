import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { withPictures } from './pictures.ts'

function attachments(t: { after(fn: () => void): void }, files: Record<string, Buffer>): string {
  const root = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-pictures-'))
  t.after(() => rmSync(root, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
    writeFileSync(path.join(root, name), content)
  }
  return root
}

const mark = (name: string, type = 'image/png') => `[Image: /workspace/attachments/${name}, ${type}, 2 KB]`

/** The blocks of a prompt in short: its texts, and what each picture holds. */
async function blocksOf(prompt: string, root: string): Promise<string[]> {
  const content = await withPictures(prompt, root)
  if (typeof content === 'string') return [content]
  return content.map((block) => {
    if (block.type === 'text') return block.text
    assert.ok(block.type === 'image' && block.source.type === 'base64')
    return `${block.source.media_type} ${Buffer.from(block.source.data, 'base64').toString().slice(0, 3)}`
  })
}

test('a picture comes along with the prompt that tells of it, behind its path', async (t) => {
  const root = attachments(t, { 'M1/image.jpg': Buffer.from('one'), 'M2/my pic.webp': Buffer.from('two') })
  const prompt = `<message>${mark('M1/image.jpg', 'image/jpeg')} and [Sticker: /workspace/attachments/M2/my pic.webp, image/webp, 1 KB]</message>`
  assert.deepEqual(await blocksOf(prompt, root), [
    prompt,
    '<picture path="/workspace/attachments/M1/image.jpg"/>',
    'image/jpeg one',
    '<picture path="/workspace/attachments/M2/my pic.webp"/>',
    'image/webp two',
  ])
})

test('what is no picture, is gone, or lies elsewhere stays words', async (t) => {
  const folder = attachments(t, { 'elsewhere.png': Buffer.from('png'), 'attachments/M1/a.pdf': Buffer.from('pdf') })
  for (const prompt of ['hello', mark('M1/a.pdf', 'application/pdf'), mark('M2/image.png'), mark('M1/../../elsewhere.png')])
    assert.deepEqual(await blocksOf(prompt, path.join(folder, 'attachments')), [prompt])
})

test('of many pictures the newest come along, as far as there is room', async (t) => {
  const names = Array.from({ length: 10 }, (_, n) => `M${n}/image.png`)
  const root = attachments(t, Object.fromEntries(names.map((name, n) => [name, Buffer.from(`no${n}`)])))
  const all = await blocksOf(names.map((name) => mark(name)).join(' '), root)
  assert.deepEqual(
    all.filter((block) => block.startsWith('image/')).map((block) => block.at(-1)),
    [...'23456789'],
  )
  writeFileSync(path.join(root, 'M9/image.png'), Buffer.alloc(5 * 1024 * 1024, 'no9'))
  writeFileSync(path.join(root, 'M8/image.png'), Buffer.alloc(2 * 1024 * 1024, 'no8'))
  const some = await blocksOf(
    names
      .slice(7)
      .map((name) => mark(name))
      .join(' '),
    root,
  )
  assert.deepEqual(
    some.filter((block) => block.startsWith('image/')).map((block) => block.at(-1)),
    [...'79'],
  )
})

test('the pictures of a prompt have at most 6 MiB together', async (t) => {
  const MIB = 1024 * 1024
  const root = attachments(t, { 'M1/a.png': Buffer.alloc(3 * MIB, 'a'), 'M2/b.png': Buffer.alloc(3 * MIB, 'b') })
  const prompt = `${mark('M1/a.png')} ${mark('M2/b.png')}`
  const pictures = async () => (await blocksOf(prompt, root)).filter((block) => block.startsWith('image/'))
  assert.deepEqual(await pictures(), ['image/png aaa', 'image/png bbb'])
  writeFileSync(path.join(root, 'M1/a.png'), Buffer.alloc(3 * MIB + 1, 'a'))
  assert.deepEqual(await pictures(), ['image/png bbb'], 'the newest goes first')
})

test('a prompt brings the last eight of its pictures', async (t) => {
  const names = Array.from({ length: 9 }, (_, n) => `M${n}/image.gif`)
  const root = attachments(t, Object.fromEntries(names.map((name, n) => [name, Buffer.from(`no${n}`)])))
  const pictures = async (count: number) => {
    const prompt = names
      .slice(0, count)
      .map((name) => mark(name, 'image/gif'))
      .join(' ')
    return (await blocksOf(prompt, root)).filter((block) => block.startsWith('image/gif')).map((block) => block.at(-1))
  }
  assert.deepEqual(await pictures(8), [...'01234567'])
  assert.deepEqual(await pictures(9), [...'12345678'])
})

test('a folder in the place of a picture, and a name with ".." as a part, stay words', async (t) => {
  const root = attachments(t, { 'M1/a.png/x': Buffer.from('x'), 'M2/a..b.png': Buffer.from('dots') })
  for (const prompt of [mark('M1/a.png'), mark('..'), mark('M2/..')]) assert.deepEqual(await blocksOf(prompt, root), [prompt])
  assert.deepEqual((await blocksOf(mark('M2/a..b.png'), root)).slice(1), [
    '<picture path="/workspace/attachments/M2/a..b.png"/>',
    'image/png dot',
  ])
})
