import { pathToFileURL } from 'node:url'

// Several test files in one process, which starts and loads what they share once. The arguments are their paths.
for (const file of process.argv.slice(2)) await import(pathToFileURL(file).href)
