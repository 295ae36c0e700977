import { writeFileSync } from 'node:fs'
import { apiFile, apiText, publicEntries } from '../support/public-api.ts'

// What `npm run api` does: test/api.txt is written anew.

writeFileSync(apiFile, apiText(publicEntries()))
