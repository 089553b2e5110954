import {
  decodeAuthentication,
  encodeAuthentication,
} from '../../../../src/connectors/postgres/protocol/authentication.ts';
import {
  decodeBackendKeyData,
  encodeBackendKeyData,
} from '../../../../src/connectors/postgres/protocol/backend-key-data.ts';
import { decodeBind, encodeBind } from '../../../../src/connectors/postgres/protocol/bind.ts';
import {
  decodeCancelRequest,
  encodeCancelRequest,
} from '../../../../src/connectors/postgres/protocol/cancel-request.ts';
import {
  decodeCopyData,
  encodeCopyData,
} from '../../../../src/connectors/postgres/protocol/copy-data.ts';
import {
  type CopyResponseName,
  decodeCopyResponse,
  encodeCopyResponse,
} from '../../../../src/connectors/postgres/protocol/copy-response.ts';
import {
  decodeDataRow,
  encodeDataRow,
} from '../../../../src/connectors/postgres/protocol/data-row.ts';
import {
  decodeEmpty,
  type EmptyBackendName,
  type EmptyFrontendName,
  encodeEmptyBackend,
  encodeEmptyFrontend,
} from '../../../../src/connectors/postgres/protocol/empty-messages.ts';
import {
  decodeExecute,
  encodeExecute,
} from '../../../../src/connectors/postgres/protocol/execute.ts';
import {
  decodeFunctionCall,
  encodeFunctionCall,
} from '../../../../src/connectors/postgres/protocol/function-call.ts';
import {
  decodeFunctionCallResponse,
  encodeFunctionCallResponse,
} from '../../../../src/connectors/postgres/protocol/function-call-response.ts';
import {
  decodeNegotiateProtocolVersion,
  encodeNegotiateProtocolVersion,
} from '../../../../src/connectors/postgres/protocol/negotiate-protocol-version.ts';
import {
  decodeNotificationResponse,
  encodeNotificationResponse,
} from '../../../../src/connectors/postgres/protocol/notification-response.ts';
import {
  decodeParameterDescription,
  encodeParameterDescription,
} from '../../../../src/connectors/postgres/protocol/parameter-description.ts';
import {
  decodeParameterStatus,
  encodeParameterStatus,
} from '../../../../src/connectors/postgres/protocol/parameter-status.ts';
import { decodeParse, encodeParse } from '../../../../src/connectors/postgres/protocol/parse.ts';
import {
  decodeReadyForQuery,
  encodeReadyForQuery,
} from '../../../../src/connectors/postgres/protocol/ready-for-query.ts';
import {
  decodeErrorResponse,
  decodeNoticeResponse,
  encodeErrorResponse,
  encodeNoticeResponse,
} from '../../../../src/connectors/postgres/protocol/report-fields.ts';
import {
  decodeGSSENCRequest,
  decodeSSLRequest,
  encodeGSSENCRequest,
  encodeSSLRequest,
} from '../../../../src/connectors/postgres/protocol/request-codes.ts';
import {
  decodeRowDescription,
  encodeRowDescription,
} from '../../../../src/connectors/postgres/protocol/row-description.ts';
import {
  decodeSASLInitialResponse,
  encodeSASLInitialResponse,
} from '../../../../src/connectors/postgres/protocol/sasl-initial-response.ts';
import {
  decodeSASLResponse,
  encodeSASLResponse,
} from '../../../../src/connectors/postgres/protocol/sasl-response.ts';
import {
  decodeStartupMessage,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-message.ts';
import {
  decodeClose,
  decodeDescribe,
  encodeClose,
  encodeDescribe,
} from '../../../../src/connectors/postgres/protocol/statement-or-portal.ts';
import {
  decodeCommandComplete,
  decodeCopyFail,
  decodePasswordMessage,
  decodeQuery,
  encodeCommandComplete,
  encodeCopyFail,
  encodePasswordMessage,
  encodeQuery,
} from '../../../../src/connectors/postgres/protocol/string-message.ts';

/** Decodes a body; gives back the message that its encoder makes of what was decoded. */
export type RoundTrip = (body: Uint8Array) => Uint8Array;

function codec<T>(decode: (body: Uint8Array) => T, encode: (message: T) => Uint8Array): RoundTrip {
  return (body) => encode(decode(body));
}

const emptyFrontend = (name: EmptyFrontendName): RoundTrip =>
  codec(
    (body) => decodeEmpty(name, body),
    () => encodeEmptyFrontend(name),
  );
const emptyBackend = (name: EmptyBackendName): RoundTrip =>
  codec(
    (body) => decodeEmpty(name, body),
    () => encodeEmptyBackend(name),
  );
const copyResponse = (name: CopyResponseName): RoundTrip =>
  codec((body) => decodeCopyResponse(name, body), encodeCopyResponse);

/** Every message of the protocol. Arrows, because a second argument would be a text codec. */
export const CODECS: Readonly<Record<string, RoundTrip>> = {
  'startup/StartupMessage': codec(
    (body) => decodeStartupMessage(body),
    (m) => encodeStartupMessage(m),
  ),
  'startup/SSLRequest': codec(decodeSSLRequest, encodeSSLRequest),
  'startup/GSSENCRequest': codec(decodeGSSENCRequest, encodeGSSENCRequest),
  'startup/CancelRequest': codec(decodeCancelRequest, encodeCancelRequest),
  'frontend/Query': codec(
    (body) => decodeQuery(body),
    (m) => encodeQuery(m),
  ),
  'frontend/Parse': codec(
    (body) => decodeParse(body),
    (m) => encodeParse(m),
  ),
  'frontend/Bind': codec(
    (body) => decodeBind(body),
    (m) => encodeBind(m),
  ),
  'frontend/Describe': codec(
    (body) => decodeDescribe(body),
    (m) => encodeDescribe(m),
  ),
  'frontend/Close': codec(
    (body) => decodeClose(body),
    (m) => encodeClose(m),
  ),
  'frontend/Execute': codec(
    (body) => decodeExecute(body),
    (m) => encodeExecute(m),
  ),
  'frontend/CopyData': codec(decodeCopyData, encodeCopyData),
  'frontend/CopyDone': emptyFrontend('CopyDone'),
  'frontend/CopyFail': codec(
    (body) => decodeCopyFail(body),
    (m) => encodeCopyFail(m),
  ),
  'frontend/FunctionCall': codec(decodeFunctionCall, encodeFunctionCall),
  'frontend/PasswordMessage': codec(
    (body) => decodePasswordMessage(body),
    (m) => encodePasswordMessage(m),
  ),
  'frontend/SASLInitialResponse': codec(decodeSASLInitialResponse, encodeSASLInitialResponse),
  'frontend/SASLResponse': codec(decodeSASLResponse, encodeSASLResponse),
  'frontend/Sync': emptyFrontend('Sync'),
  'frontend/Flush': emptyFrontend('Flush'),
  'frontend/Terminate': emptyFrontend('Terminate'),
  'backend/Authentication': codec(decodeAuthentication, encodeAuthentication),
  'backend/BackendKeyData': codec(decodeBackendKeyData, encodeBackendKeyData),
  'backend/BindComplete': emptyBackend('BindComplete'),
  'backend/CloseComplete': emptyBackend('CloseComplete'),
  'backend/CommandComplete': codec(
    (body) => decodeCommandComplete(body),
    (m) => encodeCommandComplete(m),
  ),
  'backend/CopyBothResponse': copyResponse('CopyBothResponse'),
  'backend/CopyData': codec(decodeCopyData, encodeCopyData),
  'backend/CopyDone': emptyBackend('CopyDone'),
  'backend/CopyInResponse': copyResponse('CopyInResponse'),
  'backend/CopyOutResponse': copyResponse('CopyOutResponse'),
  'backend/DataRow': codec(decodeDataRow, encodeDataRow),
  'backend/EmptyQueryResponse': emptyBackend('EmptyQueryResponse'),
  'backend/ErrorResponse': codec(
    (body) => decodeErrorResponse(body),
    (m) => encodeErrorResponse(m),
  ),
  'backend/FunctionCallResponse': codec(decodeFunctionCallResponse, encodeFunctionCallResponse),
  'backend/NegotiateProtocolVersion': codec(
    (body) => decodeNegotiateProtocolVersion(body),
    (m) => encodeNegotiateProtocolVersion(m),
  ),
  'backend/NoData': emptyBackend('NoData'),
  'backend/NoticeResponse': codec(
    (body) => decodeNoticeResponse(body),
    (m) => encodeNoticeResponse(m),
  ),
  'backend/NotificationResponse': codec(
    (body) => decodeNotificationResponse(body),
    (m) => encodeNotificationResponse(m),
  ),
  'backend/ParameterDescription': codec(decodeParameterDescription, encodeParameterDescription),
  'backend/ParameterStatus': codec(
    (body) => decodeParameterStatus(body),
    (m) => encodeParameterStatus(m),
  ),
  'backend/ParseComplete': emptyBackend('ParseComplete'),
  'backend/PortalSuspended': emptyBackend('PortalSuspended'),
  'backend/ReadyForQuery': codec(decodeReadyForQuery, encodeReadyForQuery),
  'backend/RowDescription': codec(
    (body) => decodeRowDescription(body),
    (m) => encodeRowDescription(m),
  ),
};
