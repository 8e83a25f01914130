/**
 * Baileys gives the upload of a new device's keys 30 s, and does not take that timer back when it is done. A host ends all
 * the same; a test's process would wait for it, file after file.
 */
export function releaseUploadTimers(): void {
  const original = globalThis.setTimeout
  if (original.name === patient.name) return
  function patient(...args: Parameters<typeof setTimeout>): NodeJS.Timeout {
    const timer = original(...args)
    return new Error().stack?.includes('uploadPreKeys') ? timer.unref() : timer
  }
  globalThis.setTimeout = Object.assign(patient, original)
}
