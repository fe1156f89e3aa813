"""The bytes of one uploaded file: a multipart form's part `file`, or the body itself where its type is image/*."""

from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from app.errors import Problem, UnsupportedBodyError, UploadPartsError

MAX_PARTS = 8  # one is wanted; a few more are read so that the answer can say how many there were

# What /docs says of the body, which the routes read by themselves.
REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "description": "a 28 x 28 picture"}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


async def read_file(request: Request) -> bytes:
    """The one file that a request carries. Raises UnsupportedBodyError or UploadPartsError."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type.startswith("image/"):
        return await request.body()
    if content_type == "multipart/form-data":
        return await _read_part(request)
    raise UnsupportedBodyError(
        f"Content-Type is {content_type or 'missing'!r}; send multipart/form-data with a part named file, or the picture as image/*"
    )


async def _read_part(request: Request) -> bytes:
    try:
        form = await request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS)
    except Problem:
        raise
    except HTTPException as error:
        raise UploadPartsError(f"the multipart body cannot be read: {error.detail}") from error
    try:
        files = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
        if len(files) != 1:
            raise UploadPartsError(f"the form has {len(files)} files in parts named 'file'; send exactly one")
        return await files[0].read()
    finally:
        await form.close()
