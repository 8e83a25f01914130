import { openWhatsApp } from '../fakes/whatsapp/platform.ts'
import { channelSuite, platformSuite } from './channel-suite.ts'

const whatsapp = { name: 'whatsapp', delivery: 'keyed', open: openWhatsApp } as const
channelSuite(whatsapp)
platformSuite(whatsapp)
