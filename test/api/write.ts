import { writeFileSync } from 'node:fs'
import { apiFile, apiText, publicEntries } from '../support/public-api.ts'

// The script of `npm run api`: it rewrites test/api.txt.

writeFileSync(apiFile, apiText(publicEntries()))
