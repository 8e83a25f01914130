/** What a file is by its first bytes, whatever its name says. */
export type FileType = { mimeType: string; extension: string }

type Signature = FileType & { at: number; bytes: readonly number[] }

const ascii = (text: string) => [...text].map((character) => character.charCodeAt(0))
const signature = (mimeType: string, extension: string, bytes: readonly number[], at = 0): Signature => {
  return { mimeType, extension, bytes, at }
}

/** The more special ones first: a file is what it matches first. */
const SIGNATURES: readonly Signature[] = [
  signature('image/png', 'png', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  signature('image/jpeg', 'jpg', [0xff, 0xd8, 0xff]),
  signature('image/gif', 'gif', ascii('GIF8')),
  signature('image/webp', 'webp', ascii('WEBP'), 8),
  signature('image/heic', 'heic', ascii('ftypheic'), 4),
  signature('image/avif', 'avif', ascii('ftypavif'), 4),
  signature('audio/mp4', 'm4a', ascii('ftypM4A'), 4),
  signature('video/quicktime', 'mov', ascii('ftypqt'), 4),
  signature('video/3gpp', '3gp', ascii('ftyp3g'), 4),
  signature('video/mp4', 'mp4', ascii('ftyp'), 4),
  signature('video/webm', 'webm', [0x1a, 0x45, 0xdf, 0xa3]),
  signature('audio/ogg', 'ogg', ascii('OggS')),
  signature('audio/mpeg', 'mp3', ascii('ID3')),
  signature('audio/mpeg', 'mp3', [0xff, 0xfb]),
  signature('audio/aac', 'aac', [0xff, 0xf1]),
  signature('audio/amr', 'amr', ascii('#!AMR')),
  signature('audio/flac', 'flac', ascii('fLaC')),
  signature('audio/wav', 'wav', ascii('WAVE'), 8),
  signature('video/x-msvideo', 'avi', ascii('AVI '), 8),
  signature('application/pdf', 'pdf', ascii('%PDF-')),
  signature('application/zip', 'zip', [0x50, 0x4b, 0x03, 0x04]),
  signature('application/zip', 'zip', [0x50, 0x4b, 0x05, 0x06]),
  signature('application/gzip', 'gz', [0x1f, 0x8b]),
  signature('application/x-7z-compressed', '7z', [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
  signature('application/vnd.rar', 'rar', ascii('Rar!')),
  signature('application/x-executable', 'elf', [0x7f, 0x45, 0x4c, 0x46]),
  signature('application/x-msdownload', 'exe', ascii('MZ')),
  signature('application/vnd.ms-office', 'ole', [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]),
  signature('application/rtf', 'rtf', ascii('{\\rtf')),
]

/** So many bytes from the start are enough. */
export const HEAD_BYTES = 4_096

export function fileTypeOf(head: Uint8Array): FileType {
  const found = SIGNATURES.find(({ at, bytes }) => bytes.every((byte, n) => head[at + n] === byte))
  if (found) return { mimeType: found.mimeType, extension: found.extension }
  return isText(head) ? { mimeType: 'text/plain', extension: 'txt' } : { mimeType: 'application/octet-stream', extension: 'bin' }
}

/** UTF-8 without control characters; the last character may be cut. */
function isText(head: Uint8Array): boolean {
  if (head.length === 0 || head.some((byte) => byte < 0x09 || (byte > 0x0d && byte < 0x20))) return false
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
    return true
  } catch {
    return false
  }
}
