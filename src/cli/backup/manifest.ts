import { z } from 'zod'

/**
 * A backup is a tar file, gzipped, and encrypted if wanted. First comes `nanoclaw-backup.json` (Head), last `manifest.json`
 * (Manifest), in between what lies below the root as `root/...` and the owner's policies as `policies/...`.
 */
export const HEAD_NAME = 'nanoclaw-backup.json'
export const MANIFEST_NAME = 'manifest.json'

export const head = z.object({ format: z.literal(1), version: z.string(), madeAt: z.string() })
export type Head = z.infer<typeof head>

const file = z.object({ path: z.string(), bytes: z.int(), sha256: z.string() })
const link = z.object({ path: z.string(), target: z.string() })
const folder = z.object({ path: z.string() })
const leftOut = z.object({ path: z.string(), why: z.string() })

/** All that is in it, and what was found and left out. */
export const manifest = z.object({
  files: z.array(file),
  links: z.array(link),
  folders: z.array(folder),
  leftOut: z.array(leftOut),
})
export type Manifest = z.infer<typeof manifest>
export type LeftOut = z.infer<typeof leftOut>
