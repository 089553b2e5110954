import { describe, expect, test } from 'vitest';
import { signAwsRequest } from '../../../src/auth/workload/aws-signature.ts';
import { Secret } from '../../../src/secret.ts';

/** Key and time of the suite that AWS publishes for those who write a signer. */
const SUITE = {
  credentials: {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: new Secret('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'),
  },
  now: new Date('2015-08-30T12:36:00Z'),
};

function signatureOf(headers: Record<string, string>): string | undefined {
  return /Signature=([0-9a-f]{64})$/.exec(headers['authorization'] ?? '')?.[1];
}

describe('AWS Signature Version 4', () => {
  // aws-sig-v4-test-suite: get-vanilla
  test('signs an empty GET as AWS does', () => {
    const headers = signAwsRequest(
      {
        method: 'GET',
        url: new URL('https://example.amazonaws.com/'),
        headers: {},
        body: '',
        region: 'us-east-1',
        service: 'service',
      },
      SUITE.credentials,
      SUITE.now,
    );
    expect(signatureOf(headers)).toBe(
      '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    );
  });

  // aws-sig-v4-test-suite: post-x-www-form-urlencoded
  test('signs a form as AWS does', () => {
    const headers = signAwsRequest(
      {
        method: 'POST',
        url: new URL('https://example.amazonaws.com/'),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'Param1=value1',
        region: 'us-east-1',
        service: 'service',
      },
      SUITE.credentials,
      SUITE.now,
    );
    expect(signatureOf(headers)).toBe(
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    );
  });

  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
  test('signs the ListUsers request of the documentation as it is printed there', () => {
    const headers = signAwsRequest(
      {
        method: 'GET',
        url: new URL('https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08'),
        headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
        body: '',
        region: 'us-east-1',
        service: 'iam',
      },
      SUITE.credentials,
      SUITE.now,
    );
    expect(signatureOf(headers)).toBe(
      '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
    );
  });

  test('signs the session token of temporary credentials, and sends it', () => {
    const request = {
      method: 'POST',
      url: new URL('https://sts.eu-west-1.amazonaws.com/'),
      headers: {},
      body: 'a=b',
      region: 'eu-west-1',
      service: 'sts',
    } as const;
    const sessionToken = new Secret('session');
    const headers = signAwsRequest(request, { ...SUITE.credentials, sessionToken }, SUITE.now);
    expect(headers).toMatchObject({
      'x-amz-security-token': 'session',
      authorization: expect.stringContaining('SignedHeaders=host;x-amz-date;x-amz-security-token,'),
    });
    expect(signatureOf(headers)).not.toBe(
      signatureOf(signAwsRequest(request, SUITE.credentials, SUITE.now)),
    );
  });
});
