"""All bugs that are planted."""

from tests.planted.answer_bugs import ANSWER_BUGS
from tests.planted.belief_bugs import BELIEF_BUGS
from tests.planted.bug import Bug
from tests.planted.cache_bugs import CACHE_BUGS
from tests.planted.control_bugs import CONTROL_BUGS
from tests.planted.drafting_bugs import DRAFTING_BUGS
from tests.planted.estimate_bugs import ESTIMATE_BUGS
from tests.planted.evaluation_bugs import EVALUATION_BUGS
from tests.planted.eviction_bugs import EVICTION_BUGS
from tests.planted.http_bugs import HTTP_BUGS
from tests.planted.page_bugs import PAGE_BUGS
from tests.planted.particle_bugs import PARTICLE_BUGS
from tests.planted.prefix_bugs import PREFIX_BUGS
from tests.planted.prompt_bugs import PROMPT_BUGS
from tests.planted.server_bugs import SERVER_BUGS
from tests.planted.sparsity_bugs import SPARSITY_BUGS
from tests.planted.spending_bugs import SPENDING_BUGS
from tests.planted.text_bugs import TEXT_BUGS
from tests.planted.tree_bugs import TREE_BUGS

BUGS: tuple[Bug, ...] = (
    *TREE_BUGS,
    *PARTICLE_BUGS,
    *ANSWER_BUGS,
    *SPENDING_BUGS,
    *SERVER_BUGS,
    *PAGE_BUGS,
    *HTTP_BUGS,
    *EVICTION_BUGS,
    *CACHE_BUGS,
    *CONTROL_BUGS,
    *DRAFTING_BUGS,
    *SPARSITY_BUGS,
    *PREFIX_BUGS,
    *PROMPT_BUGS,
    *EVALUATION_BUGS,
    *ESTIMATE_BUGS,
    *BELIEF_BUGS,
    *TEXT_BUGS,
)
