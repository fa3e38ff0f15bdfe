'use strict';

// Posts to the relay as the lambda does: one request after the other, each on a
// connection of its own, with the client library and the options that it uses.
//
// Reads {"url", "posts": [{"authorization", "body"}]} from standard input, the
// bodies as text, and writes one answer per post: {"status", "data"}. For no
// answer at all the status is 500, as the lambda makes it for mParticle.

const axios = require('axios');
const fs = require('fs');
const https = require('https');

async function post(url, { authorization, body }) {
  const headers = { 'Content-Type': 'application/json' };
  if (authorization !== '') {
    headers.Authorization = authorization;
  }
  try {
    // As bytes: axios would read a string as JSON and write it anew, and with
    // that round every number that a double cannot hold.
    const response = await axios.post(url, Buffer.from(body), {
      headers,
      httpsAgent: new https.Agent({ rejectUnauthorized: false }),
    });
    return { status: response.status, data: response.data };
  } catch (error) {
    if (error.response) {
      return { status: error.response.status, data: error.response.data };
    }
    return { status: 500, data: { message: error.message } };
  }
}

async function main() {
  const { url, posts } = JSON.parse(fs.readFileSync(0, 'utf8'));
  const answers = [];
  for (const request of posts) {
    answers.push(await post(url, request));
  }
  process.stdout.write(JSON.stringify(answers));
}

main();
