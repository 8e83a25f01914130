export * from './control.ts'
export * from './frames.ts'
export * from './ipc.ts'
export * from './lines.ts'
