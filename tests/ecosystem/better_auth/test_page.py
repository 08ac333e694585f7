"""The frontend code in docs/better-auth.md compiles, strictly, with the real Better Auth and our client."""

import json
import re

from tests.support.programs import compile_typescript
from tests.support.server import ROOT

FOLDER = ROOT / "test-output" / "better-auth"  # below the project, where its packages are found
FILES = ("auth.ts", "browser.ts", "route.ts", "delete-tasks.ts")
# What a Next.js app declares.
DECLARATIONS = """
declare module "next/headers" { export function headers(): Promise<Headers>; }
declare const authClient: ReturnType<typeof import("better-auth/client").createAuthClient>;
"""
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "skipLibCheck": True,
    "target": "es2022",
    "module": "preserve",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": ["node"],
    "paths": {"@/auth": ["./auth.ts"], "todo-client": [str(ROOT / "clients/typescript/src/index.ts")]},
}


def test_frontend_code_of_the_page_compiles():
    page = (ROOT / "docs" / "better-auth.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```ts\n(.*?)```", page, re.DOTALL)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, block in zip(FILES, blocks, strict=True):
        (FOLDER / name).write_text(block, encoding="utf-8")
    (FOLDER / "around.d.ts").write_text(DECLARATIONS, encoding="utf-8")
    (FOLDER / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS}), encoding="utf-8")
    compile_typescript("--project", FOLDER)
