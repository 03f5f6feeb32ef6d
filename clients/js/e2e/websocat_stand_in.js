#!/usr/bin/env node
// Does what `websocat -n URL` does with lines from stdin, where websocat is not installed: sends each, prints what comes.
// Not here: any other option of it.

import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const [option, address] = process.argv.slice(2);
if (option !== '-n' || address === undefined) throw new Error(`not the words that are stood in for: ${process.argv.slice(2)}`);
const socket = new WebSocket(address);
socket.on('message', (data) => console.log(String(data)));
socket.on('open', () => createInterface({ input: process.stdin }).on('line', (line) => socket.send(line)));
