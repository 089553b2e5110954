import { expect, test } from 'vitest';
import { whenDescriptorsAreFree } from '../../src/recording/free-descriptors.ts';

function failing(code: string, times: number) {
  let done = 0;
  let waited = 0;
  const work = async (): Promise<string> => {
    done += 1;
    if (done <= times) throw Object.assign(new Error(code), { code });
    return 'done';
  };
  const wait = async (): Promise<void> => {
    waited += 1;
  };
  return { result: whenDescriptorsAreFree(work, wait), seen: () => ({ done, waited }) };
}

test.each(['EMFILE', 'ENFILE'])('what found no descriptor (%s) is done again', async (code) => {
  const { result, seen } = failing(code, 3);
  expect(await result).toBe('done');
  expect(seen()).toEqual({ done: 4, waited: 3 });
});

test('another error is told at once', async () => {
  const { result, seen } = failing('EIO', 1);
  await expect(result).rejects.toMatchObject({ code: 'EIO' });
  expect(seen()).toEqual({ done: 1, waited: 0 });
});

test('a process that gets none is given up', async () => {
  const { result, seen } = failing('EMFILE', Number.POSITIVE_INFINITY);
  await expect(result).rejects.toMatchObject({ code: 'EMFILE' });
  expect(seen()).toEqual({ done: 81, waited: 80 });
});
