"""Given names that call the same human: short forms, and forms of one name in several languages. How names are compared is in `suggest_names`.

Each line is one name: all words of a line may be one human's. A word may stand in several lines (Alex is Alexander or
Alexandra). Letters are as `suggest_names.keyed` leaves them or any spelling that it brings there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache

import polars as pl

from core.suggest_names import keyed, latin

LINES = """
adam adamo ad
adelaide adele adela adelheid heidi addie ada
adrian adriano adrien ade adriaan
agnes agnieszka agneta aga agnese ines inez
aisha ayse aysha
albert alberto al bert bertie albrecht
alexander alex alec alejandro alessandro alexandre aleksander aleksandr alexandru alexandros sandro sander sascha sasha sacha xander lex ali olek oleksandr alasdair alistair iskander
alexandra alex alejandra alessandra aleksandra sandra sascha sasha sacha ola lexi alexia
alexei alexey aleksei aljoscha alyosha lyosha alexis alex oleksii
alfred alfredo alf fred freddie al
alice alicia alicja alisa ali
alison ali allison
amelia amalia amelie millie amy mila
amanda mandy manda
anastasia nastya nastja nastia stasia anastasiya asya
andrew andy andre andreas andrea andrei andrey andrej andrzej andres anders ondrej andrius andriy drew ander andras
angela angelika angelica angie gela angelina
ann anna anne anny annie anni hanna hannah ana ania anya anja anita annika anneke anouk nan nancy asia
anthony antony tony anton antonio antoine antoni antonin toni anto antonis
antonia tonia toni antonina antoinette tonya
arnold arnaud arnaldo arne arno arnie
arthur arturo artur art artie
augustus august augusto gus gustl
barbara barb barbie babs bara basia varvara barbora
bartholomew bart bartek bartlomiej bartosz barth
beatrice beatriz beatrix bea trixie betty
benedict ben benedikt benedetto bennet benito benoit
benjamin ben benny benni benjamim beniamin
bernard bernhard bernd bernardo bernie berni
brian bryan
bridget brigitte birgit brigita gitte britt birgitta brid
bradley brad
calvin cal
cameron cam
caroline carolyn carolina carolin karolina karoline caro carrie line lina
catherine katherine kathryn catharina katharina katarina katarzyna kathrin katrin catarina caterina ekaterina yekaterina kateryna katerina kate kathy cathy katie katy katja katya kat kit kasia kati trina karin karen kaja ekatarina
cecilia cecile cecily celia cilla sissi cissy
charles charlie chuck carlos carlo carl karl karol charly chas chip karel kalle
charlotte charlie lotte lottie carlotta charlott
christine christina christiane christin kristina kristin kristine chris chrissy tina christel krystyna krisztina kirsten kirstin kristen
christopher chris christoph christophe cristobal kristoffer krzysztof topher kit kester christo kris cristoforo
christian chris christiaan kristian cristiano krystian kris
clara klara claire clare clarissa
claudia klaudia claudine
clemens clement klemens clem
clifford cliff
clinton clint
conrad konrad corrado kurt curt con
constance conny connie constanze constanza
constantine konstantin constantin costa kostas kostya dinos costas
cornelius cornelis kees neil cor niels
cynthia cindy
daniel dan danny daniele danilo dani danylo danila
daniela danielle dani danuta dany
david dave davey davide dawid taavi dovid
deborah debra deb debbie debby debora
dennis denis denys denny
dominic dominik dominique domenico domingo nick dom nic
donald don donnie
dorothy dorothea dorothee dot dora dorota dorotea dottie thea doro
douglas doug
edmund ed edmond eddie ned edmondo
edward ed eddie ted ned eduard eduardo edoardo edouard teddy edvard edek
edwin ed eddie
eleanor eleonora eleonore ellen ellie nell nora lena leonore leonora elinor elena
elizabeth elisabeth liz lizzie beth betty betsy eliza elisa elise lisa liza lisbeth elsa else elspeth libby bess isabel isabella isabelle elzbieta ela alzbeta elisabetta elisaveta yelizaveta lisette bettina babette ilse erzsebet
emily emilia emilie emma em emmy millie mila
emmanuel manuel emanuel manny manolo manu immanuel manolis
eric erik erich rick erico eirik
ernest ernst ernesto ernie erno
eugene eugen eugenio gene evgeni evgeny yevgeny evgeniy zhenya jenya yevhen
eva eve evita ewa evi
evelyn eveline evelin evie
ferdinand fernando ferdi ferdinando nando hernando
frances francesca franziska francisca francoise fran franzi fanny frankie franka franciska frantiska paca
francis frank francesco francisco francois franz frans franciszek frantisek frankie paco pancho kiko xico chico ferenc franek fran cisco
frederick frederic friedrich fred freddy fritz federico frederico frederik fredrik rick fryderyk fredi bedrich
frederica friederike rike fredi
gabriel gabe gabriele gavriil
gabriele gabriela gabriella gabrielle gabi gaby
geoffrey jeffrey jeff geoff gottfried godfrey
george georg jorge giorgio georges jurgen jorg georgi georgy yuri yury juri joris jiri jerzy gyorgy yorgos giorgos goran jordi jurek heorhii iuri
gerald gerard gerhard gerry jerry gerd geert gert gherardo gerardo
gertrude gertrud trudy trude gerti
giovanna gianna vanna
giuliano giulio
gregory greg gregor gregorio gregoire grigori grigory grzegorz grisha rehor
gustav gustavo gus gustave gusti
harold harald harry hal
harriet hattie harry henriette henrietta etta jette
helen helena helene elena yelena jelena olena lena ellen leni alena eleni ilona nell helenka
henry harry hank hal heinrich henri enrique enrico hendrik henrik heiner heinz henk henryk rico hendrick jindrich heino enzo
herbert herb bert heribert
herman hermann armando germano armin
hubert hugh hubertus bert uberto
hugo hugh hugues ugo
ian iain john jan
ignatius ignacio ignaz ignacy nacho ignazio
igor ihor
irene irena irina ira irenka iryna
isaac ike isaak yitzhak izak
isabel isabella isabelle bella belle izabela isa izzy ysabel
jacob jakob jakub jake jacobo jacopo jacques jaap jack yakov jago jeppe jacub iakov yaakov coby
james jim jimmy jamie jem jaime diego santiago tiago giacomo jacques seamus hamish iago jakob jacob
jane jean joan joanna johanna giovanna juana jana janet janina jeanne jeannette jenny johanne hanna hanne janice ivana sinead siobhan asia joanne jo jeanette
jasper casper caspar kaspar gaspar gaspard kasper
jennifer jen jenny jenni
jeremy jeremiah jerry jeremias jerome jem
jessica jess jessie jessy
joachim jochen joaquin joaquim achim jo jochem gioacchino
john johnny jack jon johannes johann hans jan jean juan giovanni joao ivan johan jens jannis yannis ioannis jonas hannes hansi ian sean evan ioan vanya janek janusz gianni jannik yannick iannis janne juhani giannis eoin jukka
jonathan jon jonny nathan johnathan jonatan
joseph joe joey jose josef giuseppe jozef yosef yusuf josip osip beppe pepe sepp pepi jozsef jos joost youssef yousef
josephine josefine jo josie josefa giuseppina josefina fina pepa jozefina
joshua josh
judith judy judit jutta
julia yulia julie giulia juliet juliette juliana julija julka jules iulia yuliya juli
julian julien giuliano juliano jules julius giulio julio
justin justus justo
kenneth ken kenny
kimberly kim kimberley
lawrence laurence larry lorenz lorenzo laurent lars lauri laurens lorne laurie loren lasse lorcan vavrinec
leo leon leonard leonardo leonhard lev leonid lyonya len lenny leonidas lenn
leonie leona leonora
leopold leo poldi leopoldo
linda lynda lin lindsey
louis lewis luis luigi ludwig lou louie lutz ludovic lodewijk ludovico ludvik luiz lajos
louise luise luisa louisa lou lulu luiza
lucas luke lukas luca luka lukasz luc lucasz loukas
lucy lucia lucie luzia luz lucja lucille
madeleine magdalena magdalene maddie lena magda madlen magdalina maddalena madeline madelyn leni
margaret margarete margarita marguerite margherita greta grete gretchen gretel maggie meg peggy marge margie madge rita margot margit malgorzata gosia marketa margarethe megan peg daisy marjorie mette merete rita marga margrit
maria mary marie miriam mariam maryam marija mia molly polly mitzi mariya masha mascha maja maire moira maura marion marika marijke mariska manon maike meike mieke ria marta
martin marty marcin morten martino marten marton maarten mart martyn
martha marta marthe
matthew matt mateo matteo matthias mateusz mathieu matthieu matias mats mattias mateus matty matej mathias matthijs thijs theis matze matias hias maciej matyas
maurice moritz mauricio maurizio morris maurits
max maximilian maxim massimo maximo maxime maximiliano massimiliano maks maksim maksym maxwell
melanie mel melania
michael mike mick mickey miguel michele michel mikhail michal mikael mihai mihail misha mischa mitch micah mikkel mikolaj mykhailo mihaly mikko michiel micha michalis misa mikey mihailo
michelle michaela micaela shelly michele michalina
mohammed muhammad mohamed mohammad mehmet mo muhammed mahomet mohamad hamada mamadou
monica monika monique mona
nathaniel nathan nate nat nathanael
natalie natalia nathalie natasha natascha nat natalya nataliya tasha natalija nata nataliia
nicholas nick nicolas nikolaus nicola niccolo nikolai nikolay klaus claus niels nils nicolaas nico niko nicky mikolaj miklos kolya nikola nikos mykola nikolaos nicolo mikulas nicolae colin nic klaas
nicole nicola nicoletta nikki nicki nicolette coletta
oliver ollie olivier oli oliviero oliwer
olivia liv livia ollie oliwia
olga olia olya helga olha
oscar oskar ossi
otto otho ottone ottone
pamela pam
patricia pat patty trish tricia patti patrizia patrycja paddy trisha
patrick pat paddy patrizio patricio patrik padraig patryk rick
paul pablo paolo pawel paulo pavel paulus pal poul pavlo paavo pavlos pauli
paula paulina pauline paola paulette polina pavla
peter pete pedro pietro pierre piotr petr pyotr petros petri peer per pieter pit peder petar petter piet petro petya pero pekka
philip phil philipp philippe felipe filip filippo pip phillip filippos
rachel rachael raquel rahel rachele shelley
raymond ray raimund ramon raimondo raymund
rebecca becky becca bec rebekka rebeka reba
regina gina reggie regine
reinhard reinhold reiner rainer reinier renard
richard rick ricky dick rich richie ricardo riccardo ryszard rico rik hick
robert bob bobby rob robbie roberto bert robin rupert ruprecht robertas robb robi
roger ruediger rogelio rutger rudiger hodge ruggero
roland rolando rollo orlando
ronald ron ronnie reinhold ronny
rose rosa rosie rosalie rosalia rosemary roza rosita roz rosina rosario
rudolf rudolph rudi rudy rodolfo ralf rolf ruud
russell russ rusty
salvatore salvador turi toto
samuel sam sammy sami samuele
samantha sam sammy
sarah sara sally sadie zara sally sare
sebastian seb bastian basti bastien sebastiano seba sebastien sebastiao
sergei sergey sergio serge sergej serhii serhiy seryozha sergiusz sergii
sigmund siegmund zygmunt sigi sigismund
simon simone semyon ximo szymon simeon shimon sima siem semen
sophia sophie sofia sofie zofia sofya zosia sonja sonya sonia sofija zsofia sofi
stanislav stanislaw stan stas stanislaus staszek stanislao
stephanie stefanie steph steffi stefania estefania stephany fanny stefi stevie
stephen steven steve stefan stephan etienne esteban stefano stevie szczepan stepan istvan estevao stephane stef staffan steffen stepan
susan susanna susanne sue suzanne susie suzy zuzanna zuzana zsuzsanna sanna suse suzie susana sanne susann
sylvester silvester sly
sylvia silvia silvie sylvie sylwia silke
tamara toma tammy tamar
tatiana tatjana tanya tanja tania tetiana
theodore theo ted teddy teodor theodor fyodor fedor feodor dory teodoro fjodor fedir
theresa teresa therese tess terry tessa resi terezia tereza terka tracy
thomas tom tommy tomas tommaso tomasz thom toma tomek tam maso tamas tuomas foma
timothy tim timmy timo timotheus timoteo timofei timotej timur timothee
tobias toby tobi tobia
ursula ulla uschi orsola ursel urszula orsolya ulli
valentin valentine valentino valentyn
valentina vali tina valya
valerie valeria val valeriya valery
veronica veronika vera ronnie roni weronika nika veronique
victor viktor vittorio vic vik wiktor viktoras
victoria vicky viktoria tori vicki vickie vita vittoria wiktoria vika viki
vincent vince vincenzo vicente vincenz vinnie vinzenz enzo wincenty
virginia ginny ginger gina virginie
vladimir wladimir vova volodya wolodymyr volodymyr vlad vladi wlodzimierz vladislav vladislaw
walter walt wally gualtiero valter wouter wolter wat
wilhelmina wilma minna mina minnie helmine willa vilma
william will bill billy willy willie liam wilhelm guillermo guillaume guglielmo willem wim vilhelm helmut guilherme gwilym vilem vasil viliam
wolfgang wolf wolfi
xavier javier xaver javi saverio
yves ivo yvo ives
yvonne ivonne evonne ivana
zachary zach zack zacharias zak
abdullah abdallah abdalla abdul
abraham abe abram avraham ibrahim bram ibo
ahmed ahmad ahmet ahmat
ali aly
elias elijah eli ilya ilja ilias ilyas eliyahu lia elia ilia
esther ester hester essie
fatima fatma fatme fatimah fatemeh fati
hassan hasan hasso
hussein husain hussain huseyin husayn
irving irvin irwin
ismael ismail ishmael
khadija hatice khadijah
leila layla leyla laila
moses moshe moise musa mose moisei
mustafa mostafa
omar umar omer
osman uthman othman
solomon salomon suleiman sol sulayman suleyman
tariq tarik tarek
yasmin jasmin jasmine yasmine yasemin jasmina jazmin
yuki yukie
zeynep zainab zaynab zeinab
""".strip().splitlines()


@cache
def roots() -> Mapping[str, list[int]]:
    """Of each keyed name the numbers of the lines that it stands in, ascending."""
    words = [word for line in LINES for word in line.split()]
    numbers = [number for number, line in enumerate(LINES) for _ in line.split()]
    found: dict[str, set[int]] = defaultdict(set)
    for word, number in zip(keyed(latin(pl.Series(words))), numbers, strict=True):
        found[word].add(number)
    return {word: sorted(several) for word, several in found.items()}
