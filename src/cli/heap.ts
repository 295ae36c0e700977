import { setFlagsFromString } from 'node:v8'

// Imported before anything else: compiling a step makes many small things that die young, for which Node would take some 30 MB and keep them.
setFlagsFromString('--semi-space-growth-factor=1')
