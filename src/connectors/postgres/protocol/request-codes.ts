/** What stands in place of a version in the packets that are no StartupMessage (pqcomm.h). */
export const CANCEL_REQUEST_CODE = 80877102;
export const SSL_REQUEST_CODE = 80877103;
export const GSSENC_REQUEST_CODE = 80877104;
