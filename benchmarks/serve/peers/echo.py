"""The floor: FastAPI with nothing behind it, reading a form and saying how long its file is."""

from fastapi import FastAPI, UploadFile

app = FastAPI()


@app.post("/predict")
async def echo(file: UploadFile) -> dict[str, int]:
    """The file's length."""
    return {"bytes": len(await file.read())}
