"""Character encodings that tables come in, and the letters that their languages write with."""

from dataclasses import dataclass

WESTERN = {
    "German": ("üäöß", 0.0),
    "French": ("éèàêçîôâûëïùœæÿ", 0.0),
    "Spanish": ("óíáñéúü", 0.0),
    "Portuguese": ("ãçáéíóêõâúàôü", 0.0),
    "Italian": ("èàùìòé", 1.0),
    "Dutch": ("ëéïèöüó", 2.0),
    "Danish or Norwegian": ("øåæéöäü", 1.0),
    "Swedish or Finnish": ("äöåéüø", 1.0),
    "Catalan": ("àéèíóçòúïü", 2.0),
    "Icelandic": ("áðíéóþúöýæ", 4.0),
    "several western languages": ("éüáöäóèñíãçàêøßåúæôîëõâïùìòûœ", 6.0),
}
CENTRAL = {
    "Polish": ("łóęąśżćźń", 0.0),
    "Czech": ("íáěéřšžčýůúňťďó", 0.0),
    "Slovak": ("áíéčžšýúľťôňóäďŕĺ", 1.0),
    "Hungarian": ("áéőöóüíúű", 0.0),
    "Croatian or Slovene": ("čšžćđ", 1.0),
    "Romanian": ("ăîâşţșț", 1.0),
    "several central languages": ("áéíłóšžčęąřěýśćżüöúőňźńăţşđťďůľôäűß", 6.0),
}
BALTIC = {
    "Lithuanian": ("ėšųžįąčęū", 0.0),
    "Latvian": ("āēīšņūļžčģķ", 0.0),
    "Estonian": ("äõüöšž", 2.0),
}
CYRILLIC = {
    "Russian": ("оаеинтсрвлкмдпугяызбйьчхжцюшёэщфъ", 0.0),
    "Ukrainian": ("оаніирвтесклудмпзяьбгйчхцїжщюєшфґ", 1.0),
    "Bulgarian": ("аиоентрсвлкдпмзгяъубчцйжщхюшфьѝ", 2.0),
    "Serbian": ("аиоенрсуткјвдмплгзбцшчжхњђљћфџ", 3.0),
}
GREEK = {"Greek": ("ατοιενρσκηπςυμλίόάγέδήωχθύφβξζώψϊϋΐΰ", 0.0)}
TURKISH = {"Turkish": ("ıüşçğöîâ", 0.0)}
HEBREW = {"Hebrew": ("יוהלרבתמאשנעםדקחפסכגטצןזךףץ", 0.0)}
ARABIC = {"Arabic or Farsi": ("اليمونرتبةعدسفهكقأحجشطصىخإذئزضظثؤآءغپچژگکی", 0.0)}
THAI = {"Thai": ("านรอกเงมยลวดทสตะปบคหแจพชขใไโุูึืิี์่้๊๋ั็ำณธฐศษผฝฟซถญภฎฏฒฬฮฉฆฌๆฯ", 0.0)}


@dataclass(frozen=True, slots=True)
class Encoding:
    """One encoding that a file may be written in.

    Attributes:
        name: Name of its codec in Python.
        rarity: Rarity of the encoding relative to the most common one, in bits.
        languages: Letters beyond a to z by language, the commonest first, and the language's
            rarity among the files of this encoding, in bits.
        ideographs: Common characters of an encoding with two bytes for each; else empty.
        level: The narrower encoding that holds its ordinary characters, and the lead bytes of its
            first level.
    """

    name: str
    rarity: float
    languages: dict[str, tuple[str, float]]
    ideographs: str = ""
    level: tuple[str, int, int] | None = None


_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种"
    "事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力它与长把机十民第公"
    "此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回"
    "特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何"
    "电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白"
    "却界达光放强即像难且权思王象完设式色路记南品住告类求据程北京广州深圳津重庆成都武汉杭苏沪港红黄蓝绿是否男店单价城县省镇"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種"
    "事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心本前開但因只從想實日軍者意無力它與長把機十民第公"
    "此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回"
    "特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何"
    "電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽白"
    "臺台北雄竹嘉屏花蓮宜蘭桃園彰投澎湖南港九龍紅黃藍綠男店單價城縣省鎮"
)
_JAPANESE = (
    "日一人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水半男西電"
    "校語土木聞食車何南万毎白天母火右読友左休父雨京都府県市区町村阪横浜名古屋札幌福岡神戸仙台広島沖縄千葉埼玉奈良和歌滋賀"
    "岐阜静新潟石富井崎熊鹿児森秋田岩手宮城形茨栃群馬梨知重庫鳥取根口徳香愛媛佐大分赤青黒緑黄会社員品番号住所電話部店客商"
    "売買価格数量合計税込注文発送配達未済有無不良可能性別種類状態理由的同動場明回国体自事者定度作用方全最近新経済政治"
)
_KOREAN = (
    "이다에의는로하을가고지서한은기으년대사시를리도인스일자해어나수정아전과장부주상보그라여원제성구것들동만학생공국조신선경"
    "용세비관유영있적소안우화마오중위미연문회계무물실교방민재모내들간말발면분산서울부산대구인천광주울산세종강원남북충청전라"
    "경제주시군동김이박최정강조윤장임빨파노초검흰색남여예아니오상품가격수량번호이름주소"
)

ENCODINGS = (
    Encoding("cp1252", 0.0, WESTERN),
    Encoding("iso8859-15", 4.0, WESTERN),
    Encoding("cp1250", 2.0, CENTRAL),
    Encoding("iso8859-2", 3.0, CENTRAL),
    Encoding("cp1251", 2.0, CYRILLIC),
    Encoding("koi8-u", 4.0, CYRILLIC),
    Encoding("iso8859-5", 6.0, CYRILLIC),
    Encoding("cp1253", 3.0, GREEK),
    Encoding("iso8859-7", 4.0, GREEK),
    Encoding("cp1254", 3.0, TURKISH),
    Encoding("cp1255", 3.0, HEBREW),
    Encoding("cp1256", 3.0, ARABIC),
    Encoding("iso8859-6", 6.0, ARABIC),
    Encoding("cp1257", 3.0, BALTIC),
    Encoding("cp874", 3.0, THAI),
    Encoding("cp850", 4.0, WESTERN),
    Encoding("cp437", 5.0, WESTERN),
    Encoding("cp852", 5.0, CENTRAL),
    Encoding("cp866", 4.0, CYRILLIC),
    Encoding("cp857", 6.0, TURKISH),
    Encoding("cp737", 6.0, GREEK),
    Encoding("mac_roman", 6.0, WESTERN),
    Encoding("mac_cyrillic", 7.0, CYRILLIC),
    Encoding("cp932", 3.0, {}, _JAPANESE, ("euc_jp", 0xB0, 0xCF)),
    Encoding("euc_jp", 4.0, {}, _JAPANESE, ("euc_jp", 0xB0, 0xCF)),
    Encoding("gb18030", 3.0, {}, _SIMPLIFIED, ("gb2312", 0xB0, 0xD7)),
    Encoding("big5", 4.0, {}, _TRADITIONAL, ("big5", 0xA4, 0xC6)),
    Encoding("cp949", 3.0, {}, _KOREAN, ("euc_kr", 0xB0, 0xC8)),
)
"""In the order in which they are tried; of two that read a file equally the first is taken."""
