import { textOf } from './facts.ts'

/** How the service stands, as far as this machine tells. */
export type ServiceState = {
  manager: 'systemd' | 'launchd'
  file: string
  installed: boolean
  running: boolean
  /** In the manager's own words. */
  detail: string
  /** What somebody should know or do. */
  notes: string[]
}

/** The service of this user (or machine) at whatever keeps it running. Each rejects with an AppError that says why not. */
export interface Service {
  /** Writes it, has it started now and at every boot; lines for the person. */
  install(): Promise<string[]>
  uninstall(): Promise<string[]>
  start(): Promise<void>
  stop(): Promise<void>
  restart(): Promise<void>
  state(): Promise<ServiceState>
}

/** Is it the service of the program in this folder? All have one name, so another clone may have it. */
export function isServiceOf({ file, installed }: ServiceState, project: string): boolean {
  const text = textOf(file).replaceAll('%%', '%').replaceAll('$$', '$')
  return installed && text.includes(`${project}/`)
}
