from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def hello() -> dict[str, str]:
    return {"says": "hello"}


@app.get("/health")
def health() -> str:
    return "well"
