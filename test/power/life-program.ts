import { live } from './life.ts'

const [root = '', rounds = '', synchronous] = process.argv.slice(2)
live({ root, rounds: Number(rounds), ...(synchronous === 'OFF' || synchronous === 'NORMAL' ? { synchronous } : {}) })
