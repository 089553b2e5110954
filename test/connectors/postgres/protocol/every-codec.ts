import {
  COPY_RESPONSE,
  type CopyResponseName,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeDataRow,
  decodeFunctionCallResponse,
  decodeNegotiateProtocolVersion,
  decodeNotificationResponse,
  decodeParameterDescription,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  encodeAuthentication,
  encodeBackendKeyData,
  encodeCommandComplete,
  encodeDataRow,
  encodeFunctionCallResponse,
  encodeNegotiateProtocolVersion,
  encodeNotificationResponse,
  encodeParameterDescription,
  encodeParameterStatus,
  encodeReadyForQuery,
  encodeRowDescription,
} from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import {
  decodeEmpty,
  type EmptyBackendName,
  type EmptyFrontendName,
  encodeEmptyBackend,
  encodeEmptyFrontend,
} from '../../../../src/connectors/postgres/protocol/empty-messages.ts';
import {
  decodeBind,
  decodeClose,
  decodeCopyData,
  decodeCopyFail,
  decodeDescribe,
  decodeExecute,
  decodeFunctionCall,
  decodeParse,
  decodePasswordMessage,
  decodeQuery,
  decodeSASLInitialResponse,
  decodeSASLResponse,
  encodeBind,
  encodeClose,
  encodeCopyData,
  encodeCopyFail,
  encodeDescribe,
  encodeExecute,
  encodeFunctionCall,
  encodeParse,
  encodePasswordMessage,
  encodeQuery,
  encodeSASLInitialResponse,
  encodeSASLResponse,
} from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import {
  decodeErrorResponse,
  decodeNoticeResponse,
  encodeErrorResponse,
  encodeNoticeResponse,
} from '../../../../src/connectors/postgres/protocol/report-fields.ts';
import {
  decodeCancelRequest,
  decodeGSSENCRequest,
  decodeSSLRequest,
  decodeStartupMessage,
  encodeCancelRequest,
  encodeGSSENCRequest,
  encodeSSLRequest,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';

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
  codec(
    (body) => COPY_RESPONSE[name].decode(body),
    (m) => COPY_RESPONSE[name].encode(m),
  );

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
