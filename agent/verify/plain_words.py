"""Words of an inspector's English that claim nothing by themselves, and stems of the others."""

from __future__ import annotations

import re
from functools import cache

_SUFFIX = re.compile(r"(?:nesses|ness|ments|ment|ations|ation|ings|ing|edly|ed|ers|er|ies|es|ly|s|y|e)$")


def stem(word: str) -> str:
    """A word without its ending; at least three letters stay."""
    word = word.removesuffix("'s").replace("'", "")
    cut = _SUFFIX.sub("", word)
    if len(cut) < 3:
        return word
    return cut[:-1] if len(cut) > 3 and cut[-1] == cut[-2] and cut[-1] not in "ls" else cut


_FUNCTION = """
a an the this that these those there here it its itself they them their he she his her i my me we our us you your one ones someone something somewhere anything everything nothing none
who whom whose which what when where why how whether and or nor but yet so if then than as at by for from in into of off on onto out over per to toward towards under up upon with within
without about above across after again against along alongside amid among around because before behind below beneath beside besides between beyond during except inside like near next
opposite outside since through throughout till until unlike via while whereas although though despite however therefore thus hence also too just only even still already ever never
not no cannot can could may might must shall should will would do does did done doing be is are was were been being am has have had having get gets got getting isn't aren't doesn't don't
wasn't can't won't didn't hasn't shouldn't very quite rather fairly somewhat slight slightly roughly approximately approx circa nearly almost exactly mostly mainly especially particularly
all any both each either every few many more most much neither other others another several some such same own two three four five six seven eight nine ten once twice
let's it's that's there's i'm we're they're further else away together apart far less least lot little bit well way
"""
_TALK = """
accord according according-to agree agrees appear appears apparent apparently assess assessment based basis case cases clear clearly come comes coming conclude confirm confirms
consistent correspond corresponds description descriptions described describe describes detail details detect detected detector determine evidence evident example examine
examined examination explain explained expected fact facts fall falls feature features find finding findings finds fit fits found general generally give given gives hint hints identified identify indicate
indicated indicates indicating indication instance inspection inspected inspector kind kinds known likely look looks looked looking match matches mean means mention mentions mentioned name named
names namely nature note noted notable notice noticeable observation observe observed obvious obviously occur occurs originate originates overall part parts particular photo photos picture
pictures piece point points possible possibly presence present presumably probable probably regard regarded relate related relative report reported reports resemble resembles result results resulting
say says said see seem seems seen show shown showing shows sign signs so-called speak speaks state stated states suggest suggested suggests tell tells test text typical typically use used
usual usually view visible visual word words inspect answer question reason reasons respect regarding concerning concern concerns involve involves involving include includes including
stem stems arise arises arising cause caused causes causing due lead leads leading effect effects impact impacts consequence consequences remedy remedies recommended recommend recommends recommendation
recommendations origin origins source sources measure measures action actions common commonly often sometimes rarely always frequently normally tend tends able need needs needed require required
requires make makes made making take takes taken taking become becomes keep kept put set sets setting go goes going bring brings brought turn turns remain remains stay stays leave leaves left lie lies sit sits
stand stands extend extends run runs start starts begin begins develop develops happen happens follow follows following form forms produce produces create creates
new old good bad large larger small smaller big tiny minor major main high low great greater strong different certain single separate individual similar comparable various
actual real true false whole entire total complete full partly time times number type types sort class item items thing things object component components product sample unit specimen workpiece
surface surfaces area areas region regions zone zones spot spots place places location locations position side sides end section mark marks marked trace traces site patch
image images defect defects defective anomaly anomalies anomalous flaw flaws fault faults damage damaged irregularity blemish imperfection abnormal abnormality deviation issue problem problems
normal reference surrounding surroundings surround environment neighbourhood neighborhood vicinity background
upper lower middle centre center central left right top bottom corner edge edges quadrant half lateral horizontal vertical
later soon then now current currently today usually once first second third last final finally additional additionally moreover furthermore instead otherwise hence
roughly about approximately kind level degree extent amount amounts value values size sized
likewise namely i.e e.g etc whenever wherever person operator considerably
consequently accordingly versus vs number numbers equal equals contain contains containing lack lacks lacking absent absence added support supports supported borne draw draws attention assign assigns
assigned register registers registered trigger triggers triggered single singled situate situated center centered centred unchanged greatest strongest weakest longest largest smallest confidence frame
structure structures contour form forms distinct mild blend blends encircling adjacent adjoining immediate attention hotspot hotspots notice noticeably thing namely
considerably sharply severely badly fully completely largely greatly
"""
_OF_TOOLS = {
    "heatmap": """
heat map maps heatmap score scores scored threshold thresholds cut-off cutoff off limit limits peak peaks maximum hottest highest lowest hot response activation activity reading signal decision exceed exceeds
exceeded exceeding reach reaches reached cross crosses crossed surpass surpasses raise raises raised climb climbs enough flag flagged flags highlight highlights highlighted light lights lit faint
faintly weak weaker weakest strongest stronger strong strongly intense intensely pronounced elevated quiet conspicuous suspicious noticeable located concentrated concentrates focus focused record recorded alarm alarms value allowed
permitted notable refer refers
""",
    "zoom": "enlarge enlarged enlargement magnify magnified magnifies magnification zoom zoomed factor refer refers taken times",
    "measure": """
px pixel pixels percent cent mm millimetre millimeter millimetres millimeters length width long wide narrow thin dimension dimensions measurement measured measuring cover covers covered covering occupies
affected share fraction portion total dark darker bright brighter lighter light paler pale tone tones brightness shade contrast material differ differs differing difference deviate deviates departs depart
shape shaped outline compact elongated longish stretched round rounded roundish oblong adjacent next hardly refer refers
""",
    "compare": """
compare compared comparison change changed changes golden sample standard counterpart identical equal alike appearance distance differ differs differing difference different deviate deviates departs agree agrees
""",
}
_ALIKE = """
check inspect verify examine review control; replace exchange swap; reject discard scrap withdraw refuse; remove take; humid moist moisture damp wet water; weak weaken strength; crack fracture fissure;
wear abrade abrasion abraded; separate segregate isolate quarantine divert; lose loss missing lost; prevent avoid hinder block stop impede; start begin initiate; dirt contaminate contamination soil; repair rework mend;
fibre fiber; colour color; thin fine narrow; thick heavy; excess too much surplus superfluous extra additional; inadequate insufficient poor lack; protect guard shield; fasten attach fix; leak leakage seep;
error mistake fault wrong incorrect; clean wash wipe; worn old blunt dull; rust corrode corrosion rusty; strike hit impact collision; stretch strain; brittle fragile; press push squeeze crush; grow spread propagate;
hazard danger risk; customer user buyer; quick rapid fast; permit allow; grind sand polish; tiny small minute; gap opening space; piece fragment; fail failure; burst rupture; swell swollen
"""
CANONICAL = {word: words.split()[0] for words in _ALIKE.split(";") for word in words.split()}
"""Words that an inspector uses for each other, by the first of them."""
LOOKS = frozenset(_OF_TOOLS)
"""Tools whose values are held against what is said of them, word by word."""
_SPOKEN = {
    "heatmap": re.compile(r"\b(?:heat\w*|maps?|scor\w+|detector\w*|threshold|anomal\w+|peak\w*|respon\w+|activ\w+|flag\w*|highlight\w*|hot\w*)\b", re.IGNORECASE),
    "measure": re.compile(
        r"\b(?:dark\w*|bright\w*|light\w*|pal\w+|dim\w*|whit\w*|black\w*|ton\w+|contrast|measur\w+|px|pixels?|shap\w+|outline|contour|compact|long\w*|elongat\w*|round\w*|narrow|thin\w*|stretch\w*|siz\w+|surround\w*|lines?|"
        r"blob\w*)\b", re.IGNORECASE
    ),
    "compare": re.compile(r"\b(?:reference|golden|good|normal|standard|master|compar\w+|counterpart|similar\w*|unchanged|alike|same|distance|differ\w*|deviat\w*)\b", re.IGNORECASE),
}  # fmt: skip


def tools_spoken_of(text: str) -> frozenset[str]:
    """The tools whose findings a text speaks of."""
    return frozenset(tool for tool, words in _SPOKEN.items() if words.search(text))


FUNCTION_WORDS = frozenset(_FUNCTION.split())
PLAIN = frozenset(_FUNCTION.split()) | frozenset(_TALK.split())


@cache
def plain_of(tools: frozenset[str]) -> frozenset[str]:
    """Plain words, with those for what the given tools find: these are held against values, not against words."""
    return PLAIN.union(*(_OF_TOOLS.get(tool, "").split() for tool in tools))
