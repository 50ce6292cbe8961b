import os
import pwd

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


def livez(request):
    return JSONResponse({"bento": os.path.basename(os.environ["BENTO_PATH"]), "user": pwd.getpwuid(os.getuid()).pw_name})


app = Starlette(routes=[Route("/livez", livez)])
