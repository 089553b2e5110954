import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGateway } from '../../src/auth/open-gateway.ts';
import { uploadRecording } from '../../src/tunnel/upload-recordings.ts';
import { type GatewayBench, startGatewayBench } from '../gateway/gateway-bench.ts';

let bench: GatewayBench;
beforeAll(async () => {
  bench = await startGatewayBench();
  await bench.client('engineer');
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

test('a recording that cannot be sent is an error that says where it is kept, and no success', async () => {
  await using open = await openGateway({ env: bench.environment('engineer') });
  const notes: string[] = [];
  const session = '01890a5d-ac96-774b-bcce-b302099a8057';
  const uploaded = uploadRecording({ open, session, note: (text) => notes.push(text) });
  await expect(uploaded).rejects.toMatchObject({
    code: 'HOOP_UPLOAD_FAILED',
    message: `the recording of session ${session} was not uploaded`,
    hint: expect.stringContaining(open.home.state),
  });
  expect(notes).toEqual([]);
});
